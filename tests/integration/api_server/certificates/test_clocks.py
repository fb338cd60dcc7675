"""One of three replicas has a wrong clock: the others are not disturbed, and it heals when the clock does."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from injector.certs.x509 import DAY_SECONDS
from testing.cluster.api import ApiServer, wait_for
from tests.integration.api_server.certificates.installation import (
    REPAIR_SECONDS,
    Installation,
    await_rest,
    installed,
)
from tests.integration.api_server.certificates.replica import Replica

WATCHED_SECONDS = 15
ERRORS = [
    pytest.param(11 * 365 * DAY_SECONDS, id="years-ahead"),
    pytest.param(-100 * DAY_SECONDS, id="days-behind"),
]


@pytest.fixture(scope="module")
def installation(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(api, tmp_path_factory.mktemp("clocks"), propagation_seconds=2) as made:
        yield made


@pytest.fixture(scope="module")
def good(installation: Installation) -> list[Replica]:
    replicas = [installation.start_replica(), installation.start_replica()]
    installation.register([replica.port for replica in replicas])
    await_rest(installation, replicas)
    return replicas


def read_versions(installation: Installation) -> list[str]:
    paths = installation.secret_path, installation.configuration_path
    return [installation.send("GET", path)["metadata"]["resourceVersion"] for path in paths]


def count_rotations(replicas: list[Replica]) -> int:
    return sum(replica.status()["rotations"] for replica in replicas)


@pytest.mark.parametrize("seconds", ERRORS)
def test_replica_that_starts_with_a_wrong_clock_disturbs_no_other(
    installation: Installation, good: list[Replica], tmp_path: Path, seconds: float
) -> None:
    secret = await_rest(installation, good)
    versions = read_versions(installation)
    clock = tmp_path / "clock"
    clock.write_text(str(seconds))
    wrong = installation.start_replica(clock=clock)
    assert secret.pair

    assert wrong.served() == secret.pair.certificate.pem
    ends = time.monotonic() + WATCHED_SECONDS
    while time.monotonic() < ends:
        installation.create_pod()
        assert not wrong.status()["is_clock_right"]
        time.sleep(0.1)
    assert read_versions(installation) == versions
    assert wrong.log.count("the clock of this node is") == 1

    clock.write_text("0")
    wait_for("the clock is right", lambda: wrong.status()["is_clock_right"], REPAIR_SECONDS)
    await_rest(installation, [*good, wrong])
    assert wrong.status()["rotations"] == 0
    wrong.kill()


@pytest.mark.parametrize("seconds", ERRORS)
def test_clock_that_jumps_while_the_others_rotate_and_comes_back_heals(
    installation: Installation, good: list[Replica], tmp_path: Path, seconds: float
) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0")
    jumping = installation.start_replica(clock=clock)
    await_rest(installation, [*good, jumping])
    rotations = count_rotations(good)

    clock.write_text(str(seconds))
    wait_for("the clock is wrong", lambda: not jumping.status()["is_clock_right"], REPAIR_SECONDS)
    annotate = {"metadata": {"annotations": {"podrole.io/rotate": "ca"}}}
    installation.send("PATCH", installation.secret_path, annotate, "application/merge-patch+json")
    ends = time.monotonic() + WATCHED_SECONDS
    while time.monotonic() < ends:
        installation.create_pod()
        time.sleep(0.1)
    assert jumping.status()["rotations"] == 0
    assert count_rotations(good) == rotations + 2, "a new CA, and its serving certificate"

    clock.write_text("0")
    wait_for("the clock is right", lambda: jumping.status()["is_clock_right"], REPAIR_SECONDS)
    await_rest(installation, [*good, jumping])
    assert not any("a connection failed" in replica.log for replica in (*good, jumping))
    jumping.kill()
