"""Runs a CachedReader with short pauses, and records its callbacks."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from kubernetes.client import Configuration

from injector.k8s.watch_cache import CachedReader
from injector.k8s.watch_timeouts import WatchTimeouts

SHORT_PAUSES = WatchTimeouts(min_backoff_seconds=0.01, max_backoff_seconds=0.1)
WITHIN_SECONDS = 60
"""For an overloaded machine."""


@dataclass
class Callbacks:
    """The reader's callbacks, in order."""

    live_reads: list[str] = field(default_factory=list)
    restarts: list[tuple[str, str]] = field(default_factory=list)

    def count(self, kind: str, reason: str) -> int:
        return self.restarts.count((kind, reason))

    def add_restart(self, kind: str, reason: str) -> None:
        self.restarts.append((kind, reason))


def build_reader(configuration: Configuration, callbacks: Callbacks, **timeouts: Any) -> CachedReader:
    """A reader that is not started."""
    timeouts_of_test = replace(SHORT_PAUSES, **timeouts)
    return CachedReader(configuration, callbacks.live_reads.append, callbacks.add_restart, timeouts_of_test)


@contextmanager
def run_reader(configuration: Configuration, callbacks: Callbacks, **timeouts: Any) -> Iterator[CachedReader]:
    """Run a reader until the block ends; the block starts when both lists are complete."""
    reader = build_reader(configuration, callbacks, **timeouts)
    reader.start()
    try:
        assert reader.wait_until_synced(WITHIN_SECONDS)
        yield reader
    finally:
        reader.stop()


def wait_until(description: str, condition: Callable[[], object]) -> None:
    """Wait until the condition is true; fail with the description after WITHIN_SECONDS."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{description}: not within {WITHIN_SECONDS} s"
        time.sleep(0.01)
