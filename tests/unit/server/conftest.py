"""The hostile server, for a module or for one test that changes its limits."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.unit.server.running import Port, Running, running

Provide = Callable[[], Running]


@pytest.fixture(scope="module")
def provide_hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provide]:
    """Return the module's server; start one if it is the first, or if a test has ended the one before."""
    started: list[Running] = []
    with ExitStack() as stack:

        def provide() -> Running:
            if not started or started[-1].process.poll() is not None:
                started.append(stack.enter_context(running(tmp_path_factory.mktemp("hostile"))))
            return started[-1]

        yield provide


@pytest.fixture
def hostile(provide_hostile: Provide) -> Iterator[Running]:
    """Shared by a module's tests: each leaves it alive."""
    server = provide_hostile()
    yield server
    assert server.process.poll() is None, server.log


@pytest.fixture
def own_hostile(tmp_path: Path) -> Iterator[Running]:
    """Of one test."""
    with running(tmp_path) as started:
        yield started
        assert not started.process.poll(), started.log


@pytest.fixture(params=Port, ids=["plain", "tls"])
def port(request: pytest.FixtureRequest) -> Port:
    """Both ports."""
    assert isinstance(request.param, Port)
    return request.param
