"""Benchmarks: each command measures one component over loopback. May import everything but tests."""
