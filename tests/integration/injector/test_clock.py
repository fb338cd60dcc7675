"""The injector as a process whose clock and that of its API server differ."""

import re
from pathlib import Path

import pytest

from testing.fake_api_server import WritableApiServer, writable_api_server
from tests.integration.injector.injector_process import Injector, running
from tests.unit.injector.k8s.watched_cluster import wait_until

DAY_SECONDS = 24 * 60 * 60
YEAR_SECONDS = 365 * DAY_SECONDS
SENTENCE = "waiting for the clocks of this node and the API server to differ by at most 300 s"


def is_ready(injector: Injector) -> bool:
    return injector.get("/readyz")[0] == 200


def read_skew(injector: Injector) -> float:
    found = re.search(r"^podrole_clock_skew_seconds (\S+)$", injector.get("/metrics")[1], re.MULTILINE)
    assert found
    return float(found[1])


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(11 * YEAR_SECONDS, id="years-ahead"),
        pytest.param(-100 * DAY_SECONDS, id="days-behind"),
        pytest.param(100 * YEAR_SECONDS, id="before-any-certificate-can-be-issued"),
        pytest.param(-7970 * YEAR_SECONDS, id="after-any-certificate-can-be-issued"),
    ],
)
def test_replica_that_starts_with_a_wrong_clock_writes_nothing_until_it_is_right(
    tmp_path: Path, seconds: float
) -> None:
    with writable_api_server() as api, running(tmp_path, api.port) as injector:
        api.clock_error = -seconds
        wait_until("it compares the clocks", lambda: f"\n{SENTENCE}" in injector.get("/readyz")[1])
        wait_until("it says so", lambda: "the clock of this node is" in injector.log)

        assert not is_ready(injector)
        assert api.writes == []
        assert read_skew(injector) == pytest.approx(seconds, abs=10)
        api.clock_error = 0
        wait_until("it is ready", lambda: is_ready(injector))

        assert abs(read_skew(injector)) < 10
        assert injector.log.count("the clock of this node is") == 1
        wait_until("it says so", lambda: injector.log.count("certificate problems resolved") == 1)
        assert [write.method for write in api.writes] == ["PATCH", "PUT", "PATCH"]  # date, Secret, caBundle
        assert "Traceback" not in injector.log


def test_clock_that_jumps_makes_a_replica_unready_until_it_jumps_back(tmp_path: Path) -> None:
    with writable_api_server() as api, running(tmp_path, api.port) as injector:
        wait_until("it is ready", lambda: is_ready(injector))
        written, certificate = len(api.writes), injector.shake_hands()

        for seconds in (400, -11 * 365 * DAY_SECONDS):
            jump(api, injector, seconds)

            assert injector.get("/readyz") == (503, f"{SENTENCE}\n")
            assert injector.shake_hands() == certificate
            jump(api, injector, 0)
            assert is_ready(injector)
        assert len(api.writes) == written


def jump(api: WritableApiServer, injector: Injector, seconds: float) -> None:
    """Have the API server's clock jump, and wait until the injector has an answer with its date."""
    api.clock_error = seconds
    wait_until("it has noticed", lambda: abs(read_skew(injector) + seconds) < 10)
