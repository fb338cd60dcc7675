import sys
import threading
from collections.abc import Callable

import pytest

from injector.webhook.denials import MAX_SERIES, MIN_IDLE_SECONDS, OTHER, DenialCounts
from testing.clock import Clock

REASON = "RoleNotAllowed"
SHORT_SWITCH_SECONDS = 1e-6


def build_counts(clock: Callable[[], float] = lambda: 0.0) -> DenialCounts:
    counts = DenialCounts(clock)
    counts.knows_namespace = lambda name: name.startswith("team-")
    return counts


def fill(counts: DenialCounts) -> None:
    for number in range(MAX_SERIES):
        counts.count(f"team-{number}", [REASON])


@pytest.mark.parametrize("namespace", ["", "evil", "e" * 63])
def test_namespace_that_does_not_exist_has_no_series(namespace: str) -> None:
    counts = build_counts()

    counts.count(namespace, [REASON])

    assert counts.copy() == {(OTHER, REASON): 1}


def test_no_namespace_has_a_series_before_the_cluster_is_known() -> None:
    counts = DenialCounts()

    counts.count("team-a", [REASON])

    assert counts.copy() == {(OTHER, REASON): 1}


def test_thousands_of_namespaces_share_one_series_beyond_the_limit() -> None:
    counts = build_counts()
    fill(counts)

    for number in range(10_000):
        counts.count(f"team-more-{number}", [REASON])

    copy = counts.copy()
    assert len(copy) == MAX_SERIES + 1
    assert copy[OTHER, REASON] == 10_000
    assert set(copy.values()) == {1, 10_000}


def test_namespace_with_a_series_is_counted_at_the_limit() -> None:
    counts = build_counts()
    fill(counts)

    counts.count("team-0", [REASON])

    assert counts.copy()["team-0", REASON] == 2
    assert (OTHER, REASON) not in counts.copy()


def test_series_without_a_denial_for_long_makes_room() -> None:
    clock = Clock()
    counts = build_counts(clock)
    fill(counts)
    clock.now = 1
    counts.count("team-0", [REASON])  # not the oldest one any more

    clock.now = MIN_IDLE_SECONDS
    counts.count("team-new", [REASON])
    counts.count("team-0", [REASON])

    copy = counts.copy()
    assert (copy["team-new", REASON], copy["team-0", REASON]) == (1, 3)
    assert ("team-1", REASON) not in copy
    assert len(copy) == MAX_SERIES


def test_series_with_a_recent_denial_makes_no_room() -> None:
    clock = Clock()
    counts = build_counts(clock)
    fill(counts)

    clock.now = MIN_IDLE_SECONDS - 1
    counts.count("team-new", [REASON])

    assert counts.copy()[OTHER, REASON] == 1
    assert ("team-0", REASON) in counts.copy()


def test_denial_with_two_reasons_counts_for_both() -> None:
    counts = build_counts()

    counts.count("team-a", [REASON, "InvalidRole"])

    assert counts.copy() == {("team-a", REASON): 1, ("team-a", "InvalidRole"): 1}


def test_no_denial_of_a_thread_is_lost() -> None:
    counts = build_counts()
    switch_seconds = sys.getswitchinterval()

    def count() -> None:
        for number in range(2000):
            counts.count("team-a" if number % 2 else "evil", [REASON])

    threads = [threading.Thread(target=count) for _ in range(4)]
    sys.setswitchinterval(SHORT_SWITCH_SECONDS)
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            counts.copy()
    finally:
        sys.setswitchinterval(switch_seconds)

    assert counts.copy() == {("team-a", REASON): 4000, (OTHER, REASON): 4000}
