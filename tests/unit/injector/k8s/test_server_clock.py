"""What a Date header says about the API server's time, and what passes until it is asked."""

import time

import pytest
from kubernetes.client import Configuration

from injector.errors import NotFoundError
from injector.k8s.client import ApiClient
from injector.k8s.server_clock import ServerClock
from testing.fake_api_server import CONFIGURATION, SECRET, writable_api_server

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
SECONDS = 784111777.0


class BootClock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    "date",
    [
        pytest.param(None, id="missing"),
        pytest.param("", id="empty"),
        pytest.param("yesterday", id="text"),
        pytest.param("784111777", id="number"),
        pytest.param("Sun, 31 Feb 1994 08:49:37 GMT", id="no-such-day"),
        pytest.param("Sun, 06 Nov 0000 08:49:37 GMT", id="year-0"),
        pytest.param("Sun, 06 Nov 99999 08:49:37 GMT", id="year-99999"),
        pytest.param("Sun, 06 Nov 1994 08:49:37 +0100", id="another-zone"),
        pytest.param("Sunday, 06-Nov-94 08:49:37 GMT", id="older-form"),
        pytest.param(f"{DATE}, {DATE}", id="two"),
        pytest.param("\N{ARABIC-INDIC DIGIT ONE}" * 100_000, id="huge"),
    ],
)
def test_header_that_is_no_date_changes_nothing(date: str | None) -> None:
    clock = ServerClock(BootClock())
    clock.record(date)
    before = clock.now()
    clock.record(DATE)
    clock.record(date)

    assert before is None
    assert clock.now() == SECONDS


def test_time_passes_since_the_latest_date() -> None:
    boot = BootClock()
    clock = ServerClock(boot)
    clock.record(DATE)
    boot.now += 7
    after = clock.now()
    clock.record(DATE)

    assert (after, clock.now()) == (SECONDS + 7, SECONDS)


def test_date_of_an_answer_counts_and_that_of_a_failure_does_not() -> None:
    """A proxy can have sent the failure."""
    clock, configuration = ServerClock(), Configuration()
    with writable_api_server() as api:
        configuration.host = f"http://127.0.0.1:{api.port}"
        client = ApiClient(configuration, server_clock=clock)
        api.stored[SECRET].force(None)
        with pytest.raises(NotFoundError):
            client.get(SECRET)
        failed = clock.now()
        api.clock_error = 1000.0
        client.get(CONFIGURATION)

    assert failed is None
    assert clock.now() == pytest.approx(time.time() + 1000, abs=10)
