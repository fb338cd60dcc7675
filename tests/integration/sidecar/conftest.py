"""Running sidecars for all tests: with credentials, with required tokens, without credentials, refused by STS."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.ports import find_free_port
from testing.services import faulty_sts as faulty
from testing.sidecars import Sidecar, build_environ, running_sidecar
from tests.integration.sidecar.sts_authority import Authority, create_authority
from tests.integration.sidecar.sts_clients import BothClients

ODD_ROLE = "a+b=c,d.e@f_g-h"
"""All special characters that IAM allows in a role name."""


def write_token(directory: Path, token: str = "to.ke.n") -> None:
    (directory / "token").write_text(token)


@pytest.fixture
def environ(faulty_sts: faulty.FaultySts, tmp_path: Path) -> dict[str, str]:
    """Of a sidecar whose STS is `faulty_sts`."""
    write_token(tmp_path)
    return build_environ(tmp_path, faulty_sts.url)


@pytest.fixture
def metrics_environ(environ: dict[str, str]) -> dict[str, str]:
    """The same, of a sidecar with metrics."""
    return environ | {"PODROLE_METRICS": "true", "PODROLE_METRICS_PORT": str(find_free_port())}


@pytest.fixture(scope="session")
def authority() -> Authority:
    return create_authority()


@pytest.fixture
def both_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BothClients:
    """The sidecar's own client of STS, and boto3."""
    return BothClients(tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def sidecar(sts: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    directory = tmp_path_factory.mktemp("sidecar")
    write_token(directory)
    with running_sidecar(build_environ(directory, sts), directory) as running:
        assert running.wait_until_started() == 0, running.log
        yield running


@pytest.fixture(scope="session")
def strict_sidecar(sts: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A sidecar that requires tokens and knows its zone and instance id."""
    directory = tmp_path_factory.mktemp("strict-sidecar")
    write_token(directory)
    changes = {
        "PODROLE_ROLE_ARN": f"arn:aws:iam::111122223333:role/team/{ODD_ROLE}",
        "PODROLE_IMDS_TOKENS": "required",
        "PODROLE_ZONE": "eu-west-1b",
        "PODROLE_INSTANCE_ID": "i-0123456789abcdef0",
    }
    with running_sidecar(build_environ(directory, sts, **changes), directory) as running:
        assert running.wait_until_started() == 0, running.log
        yield running


@pytest.fixture(scope="session")
def empty_sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A sidecar whose STS is not reachable."""
    directory = tmp_path_factory.mktemp("empty-sidecar")
    write_token(directory)
    with running_sidecar(build_environ(directory, "http://127.0.0.1:1"), directory) as running:
        running.wait_for_log('"refresh-failed"', 30)
        yield running


@pytest.fixture(scope="session")
def refused_sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A sidecar whose STS returns AccessDenied."""
    directory = tmp_path_factory.mktemp("refused-sidecar")
    write_token(directory)
    with faulty.faulty_sts() as sts:
        sts.will(afterwards=faulty.DENIED)
        with running_sidecar(build_environ(directory, sts.url), directory) as running:
            running.wait_for_log('"permanent": true', 30)
            yield running
