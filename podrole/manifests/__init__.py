"""Reads and writes manifests for `inject`, `uninject` and the commands that take `-f`."""
