"""The services that tests use. Each runs once per test process: it keeps no state that tests could disturb."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from types import NoneType

import pytest
from xdist.remote import Producer

from testing.demo_node import DemoNode, open_demo_node
from testing.pods import UnavailableError
from testing.services import faulty_sts as faulty
from testing.services import issuer as oidc
from testing.services import programs
from testing.services import seaweedfs as store
from tests.scheduling import GroupScheduling

WRITER = store.Role("writer", subject="system:serviceaccount:team-a:writer", bucket="team-a")
READER = store.Role("reader", subject="system:serviceaccount:team-b:reader", bucket="team-b")


def pytest_make_parametrize_id(val: object, argname: str) -> None:
    """Require an id for values that pytest would only number."""
    is_named = getattr(val, "__name__", "<lambda>") != "<lambda>"
    if not is_named and not isinstance(val, str | int | float | Enum | NoneType):
        raise TypeError(f"{argname}={val!r} needs an id: pytest.param(..., id=...) or ids=")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling:
    """Use the groups with every `-n`."""
    return GroupScheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """Remove the AWS configuration, proxy settings, and podrole's: commands refuse the tests' own PODROLE_TEST_*."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("AWS_", "PODROLE_")) or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        yield


@pytest.fixture(scope="session")
def service_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the services' logs and data."""
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="session")
def sts(service_directory: Path) -> Iterator[str]:
    """The URL of moto's STS, which accepts any token."""
    with programs.sts(service_directory) as url:
        yield url


@pytest.fixture(scope="session")
def issuer(service_directory: Path) -> Iterator[oidc.Issuer]:
    """The issuer of ServiceAccount tokens."""
    with oidc.issuer(service_directory) as running:
        yield running


@pytest.fixture(scope="session")
def seaweedfs(service_directory: Path, issuer: oidc.Issuer) -> Iterator[store.Seaweedfs]:
    """An STS and S3 that verify the issuer's tokens, with two roles of two teams."""
    with store.seaweedfs(service_directory, issuer.url, (WRITER, READER)) as running:
        yield running


@pytest.fixture
def faulty_sts() -> Iterator[faulty.FaultySts]:
    """An STS that grants every request until the test sets other responses."""
    with faulty.faulty_sts() as running:
        yield running


@pytest.fixture(scope="session")
def demo_node() -> Iterator[DemoNode]:
    """The demo's node: a metadata service, an STS and the webhook run on it."""
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(open_demo_node())
        except UnavailableError as error:
            pytest.skip(str(error))
        yield opened
