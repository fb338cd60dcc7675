"""When the node's metadata service is measured, and what is logged."""

import errno
import json
from collections.abc import Mapping

import pytest

from sidecar.credentials.clocks import Clocks
from sidecar.reachability.measurement import Access
from sidecar.reachability.monitor import NodeMonitor

NOW = 1_700_000_000.0
HOUR = 3600
OPEN = {"169.254.169.254": Access(is_open=True, reason="gives session tokens")}
CLOSED = {"169.254.169.254": Access(is_open=False, reason="timed out")}
NO_FILES = OSError(errno.EMFILE, "Too many open files")


class FakeNode:
    """A clock, and the results of the measurements in order."""

    def __init__(self, *results: Mapping[str, Access] | OSError, jitter: float = 0) -> None:
        self.boottime = 5000.0
        self.left = list(results)
        clocks = Clocks(realtime=lambda: NOW, boottime=lambda: self.boottime)
        self.monitor = NodeMonitor(self._answer, clocks, lambda: jitter)

    def _answer(self) -> Mapping[str, Access]:
        result = self.left.pop(0)
        if isinstance(result, OSError):
            raise result
        return result

    def pass_time(self, seconds: float) -> None:
        self.boottime += seconds
        self.monitor.measure_if_due()


def read_events(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [(line["event"], line.get("state") or line["reason"]) for line in lines]


def test_nothing_is_measured_before_the_start_asks_for_it() -> None:
    node = FakeNode(OPEN)

    node.pass_time(10 * HOUR)

    assert node.monitor.last is None
    assert len(node.left) == 1


@pytest.mark.parametrize(
    ("jitter", "seconds"), [pytest.param(0, HOUR, id="latest"), pytest.param(1, 3240, id="earliest")]
)
def test_next_measurement_comes_after_an_hour_less_the_jitter(jitter: float, seconds: float) -> None:
    node = FakeNode(CLOSED, OPEN, jitter=jitter)
    node.monitor.measure()

    node.pass_time(seconds - 1)
    early = node.monitor.last
    node.pass_time(1)

    assert early
    assert (early.measured_at, early.addresses) == (NOW, CLOSED)
    assert node.monitor.last
    assert node.monitor.last.addresses == OPEN


def test_first_result_and_changes_are_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    node = FakeNode(CLOSED, CLOSED, OPEN, OPEN, CLOSED)
    node.monitor.measure()
    for _ in range(4):
        node.pass_time(HOUR)

    assert read_events(capsys) == [("node-metadata", "closed"), ("node-metadata", "open"), ("node-metadata", "closed")]


def test_failed_measurement_keeps_the_last_result_and_is_repeated_after_an_hour(
    capsys: pytest.CaptureFixture[str],
) -> None:
    node = FakeNode(CLOSED, NO_FILES, OPEN)
    node.monitor.measure()

    node.pass_time(HOUR)
    kept = node.monitor.last
    node.pass_time(60)

    assert kept
    assert kept.addresses == CLOSED
    assert len(node.left) == 1
    node.pass_time(HOUR)
    assert node.monitor.last
    assert node.monitor.last.addresses == OPEN
    assert read_events(capsys)[1] == ("node-metadata-not-measured", "Too many open files")
