"""A watched cluster, and what it has told about itself."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from kubernetes.client import Configuration

from injector.k8s.list_watch import Patience
from injector.k8s.watch_cache import WatchedCluster

QUICK = Patience(first_pause_seconds=0.01, longest_pause_seconds=0.1)
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


def build(configuration: Configuration, told: Told, **patience: Any) -> WatchedCluster:
    """A cluster that has not been started."""
    return WatchedCluster(configuration, told.live_reads.append, told.add_restart, replace(QUICK, **patience))


@contextmanager
def watching(configuration: Configuration, told: Told, **patience: Any) -> Iterator[WatchedCluster]:
    """Watch until the block ends; it begins when everything was listed."""
    cluster = build(configuration, told, **patience)
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
