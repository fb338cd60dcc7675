"""Hostile connections to the webhook's port must not delay the API server's reviews."""

from collections.abc import Iterator

import psutil
import pytest

from bench.slow_clients import ATTACKS, attacking
from tests.integration.server.targets import MIB, Target, running_injector

REVIEWS = 30
CONNECTIONS = 200
MAX_SECONDS = 1.0
MEMORY_GROWTH_MIB = 64


@pytest.fixture(scope="module")
def injector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with running_injector(tmp_path_factory.mktemp("attacked")) as running:
        yield running


@pytest.mark.parametrize("name", ATTACKS)
def test_reviews_are_answered_within_a_second_during_an_attack(injector: Target, name: str) -> None:
    processes, memory = injector.find_processes(), injector.read_memory()

    with attacking(name, CONNECTIONS, injector.port, tls=True):
        durations = [injector.time_answer() for _ in range(REVIEWS)]
        growth = injector.read_memory() - memory

    assert max(durations) < MAX_SECONDS, sorted(durations)[-5:]
    assert growth / MIB < MEMORY_GROWTH_MIB
    assert injector.find_processes() == processes


def test_clients_that_never_begin_a_handshake_do_not_delay_reviews(injector: Target) -> None:
    with attacking("silent", 900, injector.port):
        durations = [injector.time_answer() for _ in range(REVIEWS)]
        files = sum(psutil.Process(pid).num_fds() for pid in injector.find_processes())

    assert max(durations) < MAX_SECONDS, sorted(durations)[-5:]
    assert files < 700
