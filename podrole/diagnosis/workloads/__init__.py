"""Findings about one workload: whether it has its pods, and what the API server says about new ones."""
