"""Connections of a hostile container in the pod must not affect other clients of the sidecar."""

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.slow_clients import ATTACKS, attacking
from testing.services.faulty_sts import faulty_sts
from testing.sidecars import CREDENTIALS_PATH, Sidecar, build_environ, running_sidecar
from tests.unit.server.stopwatch import Stopwatch

GOOD_REQUESTS = 30
SHORT_CONNECTIONS = 5000
MAX_RESPONSE_SECONDS = 1.0
MAX_SETTLING_SECONDS = 30
MIB = 1024 * 1024
MEMORY_GROWTH_MIB = 24
"""512 connections with an incomplete head and body, at most 17 KiB each, and Python's overhead."""


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    directory = tmp_path_factory.mktemp("attacked")
    (directory / "token").write_text("to.ke.n")
    with faulty_sts() as sts, running_sidecar(build_environ(directory, sts.url), directory) as running:
        assert running.wait_until_started() == 0
        yield running


def time_good_requests(sidecar: Sidecar, count: int) -> list[float]:
    durations = []
    for _ in range(count):
        stopwatch = Stopwatch(sidecar.process.pid)
        assert sidecar.request(CREDENTIALS_PATH).status == 200
        durations.append(stopwatch.read())
        time.sleep(0.03)  # spread over the attack's phases
    return durations


def wait_for_files(process: psutil.Process, most: int) -> int:
    deadline = time.monotonic() + MAX_SETTLING_SECONDS
    while process.num_fds() > most and time.monotonic() < deadline:
        time.sleep(0.1)
    return process.num_fds()


@pytest.mark.parametrize("connections", [200, 900])
@pytest.mark.parametrize("name", ATTACKS)
def test_requests_are_answered_within_a_second_during_an_attack(sidecar: Sidecar, name: str, connections: int) -> None:
    process = psutil.Process(sidecar.process.pid)
    files, memory = process.num_fds(), process.memory_info().rss

    with attacking(name, connections, sidecar.port):
        durations = time_good_requests(sidecar, GOOD_REQUESTS)
        files_during, memory_during = process.num_fds(), process.memory_info().rss

    assert max(durations) < MAX_RESPONSE_SECONDS
    assert files_during <= files + 520
    assert memory_during <= memory + MEMORY_GROWTH_MIB * MIB
    assert wait_for_files(process, files + 5) <= files + 5
    assert "Traceback" not in Path(sidecar.directory / "sidecar.log").read_text()


def test_5000_short_connections_leak_no_file_descriptors(sidecar: Sidecar) -> None:
    process = psutil.Process(sidecar.process.pid)
    files = process.num_fds()

    for _ in range(SHORT_CONNECTIONS):
        sidecar.exchange(
            f"GET {CREDENTIALS_PATH} HTTP/1.1\r\nHost: 169.254.170.2\r\nConnection: close\r\n\r\n".encode()
        )

    assert wait_for_files(process, files + 5) <= files + 5
    assert max(time_good_requests(sidecar, 5)) < MAX_RESPONSE_SECONDS
