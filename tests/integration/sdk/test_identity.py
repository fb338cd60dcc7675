"""Unmodified clients end up with the pod's role, by either way to the sidecar."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import contract
from testing.sidecars import Sidecar, build_environ, running_sidecar
from tests.integration.sdk.clients import WHO_AM_I, App, build_app, build_ecs_environ, build_imds_environ

IDENTITY = "arn:aws:sts::111122223333:assumed-role/reader/shop.web-5d9c7"
"""The role of the sidecars that tests start, in a session that names their namespace and pod."""

both_ways = pytest.mark.parametrize("build_way", [build_imds_environ, build_ecs_environ], ids=["imds", "ecs"])
Way = Callable[[int], dict[str, str]]


@pytest.fixture(scope="module")
def sidecar(sts: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A sidecar that has credentials."""
    directory = tmp_path_factory.mktemp("sidecar")
    (directory / "token").write_text("to.ke.n")
    with running_sidecar(build_environ(directory, sts), directory) as running:
        assert running.wait_until_started() == 0, running.log
        yield running


@pytest.fixture
def app(build_way: Way, sidecar: Sidecar, sts: str, home: Path) -> App:
    """An app beside that sidecar."""
    return build_app(home, sts, build_way(sidecar.port))


@both_ways
def test_boto3_is_the_role(app: App) -> None:
    said = app.python(WHO_AM_I)

    assert (said.code, said.output) == (0, IDENTITY), said.complaint


@both_ways
def test_the_aws_cli_is_the_role(app: App) -> None:
    said = app.aws("sts", "get-caller-identity", "--query", "Arn", "--output", "text")

    assert (said.code, said.output) == (0, IDENTITY), said.complaint


@pytest.mark.parametrize(
    ("build_way", "way"), [(build_imds_environ, "iam-role"), (build_ecs_environ, "container-role")], ids=["imds", "ecs"]
)
def test_the_aws_cli_took_the_way_that_it_was_led(app: App, way: str) -> None:
    said = app.aws("configure", "list")

    access_key = next(line for line in said.output.splitlines() if "access_key" in line)
    assert access_key.split()[2] == way


@pytest.mark.parametrize("build_way", [build_imds_environ])
def test_a_wrong_path_to_the_sidecar_is_no_identity(app: App) -> None:
    elsewhere = {**app.environ, "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1/"}

    said = App(app.home, elsewhere).python(WHO_AM_I)

    assert (said.code, said.complaint) == (1, "botocore.exceptions.NoCredentialsError: Unable to locate credentials")


def test_boto3_needs_no_request_without_a_token(sts: str, home: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("to.ke.n")
    environ = build_environ(tmp_path, sts, **{contract.ENV_IMDS_TOKENS: "required"})

    with running_sidecar(environ, tmp_path) as sidecar:
        assert sidecar.wait_until_started() == 0, sidecar.log
        said = build_app(home, sts, build_imds_environ(sidecar.port)).python(WHO_AM_I)

    assert (said.code, said.output) == (0, IDENTITY), said.complaint
