"""A watched cluster, and what it has told about itself."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from kubernetes.client import Configuration

from injector.k8s.list_watch import WatchTimeouts
from injector.k8s.watch_cache import CachedReader

QUICK = WatchTimeouts(min_backoff_seconds=0.01, max_backoff_seconds=0.1)
WITHIN_SECONDS = 20


@dataclass
class Told:
    """What the cluster called back, in order."""

    live_reads: list[str] = field(default_factory=list)
    restarts: list[tuple[str, str]] = field(default_factory=list)

    def count(self, kind: str, reason: str) -> int:
        return self.restarts.count((kind, reason))

    def add_restart(self, kind: str, reason: str) -> None:
        self.restarts.append((kind, reason))


def build(configuration: Configuration, told: Told, **timeouts: Any) -> CachedReader:
    """A cluster that has not been started."""
    return CachedReader(configuration, told.live_reads.append, told.add_restart, replace(QUICK, **timeouts))


@contextmanager
def watching(configuration: Configuration, told: Told, **timeouts: Any) -> Iterator[CachedReader]:
    """Watch until the block ends; it begins when everything was listed."""
    cluster = build(configuration, told, **timeouts)
    cluster.start()
    try:
        assert cluster.wait_until_synced(WITHIN_SECONDS)
        yield cluster
    finally:
        cluster.stop()


def eventually(what: str, look: Callable[[], object]) -> None:
    """Look until it is so; fail with what was waited for."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while not look():
        assert time.monotonic() < deadline, f"{what}: not within {WITHIN_SECONDS} s"
        time.sleep(0.01)
