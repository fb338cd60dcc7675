"""Findings about a cluster, for `podrole preflight`."""
