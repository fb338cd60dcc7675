"""Findings about one pod: whether it was injected, what it waits for, what its sidecar reports."""
