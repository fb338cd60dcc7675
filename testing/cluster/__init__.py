"""A real Kubernetes API server for tests and benchmarks: its process, a client, and objects in it."""
