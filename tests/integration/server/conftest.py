"""A running injector and a running sidecar, one of each kind for each test that may break it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.server.targets import Target, running_injector, running_passthrough_sidecar

KINDS = {"injector": running_injector, "sidecar": running_passthrough_sidecar}


@pytest.fixture(params=KINDS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    """Each process in turn."""
    with KINDS[request.param](tmp_path) as running:
        yield running


@pytest.fixture
def injector(tmp_path: Path) -> Iterator[Target]:
    """The injector, with TLS."""
    with running_injector(tmp_path) as running:
        yield running


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Target]:
    """A sidecar with credentials, pass-through and metrics."""
    with running_passthrough_sidecar(tmp_path) as running:
        yield running
