"""Prints progress while pytest captures output."""

import sys

import pytest


def print_progress(config: pytest.Config, line: str) -> None:
    """Print a line at once, also from a worker of pytest-xdist."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture:
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", file=sys.stderr, flush=True)
