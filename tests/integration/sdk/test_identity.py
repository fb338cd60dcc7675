"""Unmodified clients get the pod's role, on both ways to the sidecar."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import contract
from testing.sidecars import Sidecar, build_environ, running_sidecar
from tests.integration.sdk.clients import WHO_AM_I, LocalApp, build_app, build_ecs_environ, build_imds_environ

IDENTITY = "arn:aws:sts::111122223333:assumed-role/reader/shop.web-5d9c7"
"""The role of the tests' sidecars, in a session that names the namespace and pod."""

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
def app(build_way: Way, sidecar: Sidecar, sts: str, home: Path) -> LocalApp:
    """An app that uses the sidecar."""
    return build_app(home, sts, build_way(sidecar.port))


@both_ways
def test_boto3_has_the_role(app: LocalApp) -> None:
    result = app.python(WHO_AM_I)

    assert (result.code, result.output) == (0, IDENTITY), result.error


@both_ways
def test_aws_cli_has_the_role(app: LocalApp) -> None:
    result = app.aws("sts", "get-caller-identity", "--query", "Arn", "--output", "text")

    assert (result.code, result.output) == (0, IDENTITY), result.error


@pytest.mark.parametrize(
    ("build_way", "way"), [(build_imds_environ, "iam-role"), (build_ecs_environ, "container-role")], ids=["imds", "ecs"]
)
def test_aws_cli_uses_the_configured_provider(app: LocalApp, way: str) -> None:
    result = app.aws("configure", "list")

    access_key = next(line for line in result.output.splitlines() if "access_key" in line)
    assert access_key.split()[2] == way


@pytest.mark.parametrize("build_way", [build_imds_environ], ids=["imds"])
def test_boto3_has_no_credentials_if_the_sidecar_is_unreachable(app: LocalApp) -> None:
    elsewhere = {**app.environ, "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1/"}

    result = LocalApp(app.home, elsewhere).python(WHO_AM_I)

    assert (result.code, result.error) == (1, "botocore.exceptions.NoCredentialsError: Unable to locate credentials")


def test_boto3_works_if_imds_tokens_are_required(sts: str, home: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("to.ke.n")
    environ = build_environ(tmp_path, sts, **{contract.ENV_IMDS_TOKENS: "required"})

    with running_sidecar(environ, tmp_path) as sidecar:
        assert sidecar.wait_until_started() == 0, sidecar.log
        result = build_app(home, sts, build_imds_environ(sidecar.port)).python(WHO_AM_I)

    assert (result.code, result.output) == (0, IDENTITY), result.error
