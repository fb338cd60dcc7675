"""Benchmarks: each command measures one component over loopback and prints tables."""
