"""What demo, tests and benchmarks share: a pod runner, fake AWS services and test harnesses. Not installed."""
