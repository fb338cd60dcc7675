"""Findings about many workloads together, for `podrole check -A`."""
