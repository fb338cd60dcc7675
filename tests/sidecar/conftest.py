"""One sidecar with credentials for all tests that only ask it, and one that nothing answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sidecars import Sidecar, build_environ, running_sidecar


def write_token(directory: Path, token: str = "to.ke.n") -> None:
    (directory / "token").write_text(token)


@pytest.fixture(scope="session")
def sidecar(sts: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    directory = tmp_path_factory.mktemp("sidecar")
    write_token(directory)
    with running_sidecar(build_environ(directory, sts), directory) as running:
        assert running.wait_until_started() == 0, running.log
        yield running


@pytest.fixture(scope="session")
def empty_sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A sidecar whose STS refuses every connection."""
    directory = tmp_path_factory.mktemp("empty-sidecar")
    write_token(directory)
    with running_sidecar(build_environ(directory, "http://127.0.0.1:1"), directory) as running:
        running.wait_for_log('"failed"')
        yield running
