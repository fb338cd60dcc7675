"""From a pod's token to a bucket, with an STS that verifies tokens: only the right token gets its bucket."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import contract
from testing.services.issuer import Issuer
from testing.services.seaweedfs import Role, Seaweedfs
from testing.sidecars import CREDENTIALS_PATH, Sidecar, build_environ, running_sidecar
from tests.integration.sdk.clients import STORE, build_app, build_ecs_environ, build_imds_environ

NO_CREDENTIALS = "botocore.exceptions.NoCredentialsError: Unable to locate credentials"

both_ways = pytest.mark.parametrize("build_way", [build_imds_environ, build_ecs_environ], ids=["imds", "ecs"])


@contextmanager
def sidecar_for(role: Role, token: str, store: Seaweedfs, directory: Path) -> Iterator[Sidecar]:
    """Run a sidecar for a role with this token; yield it after its first response from STS."""
    (directory / "token").write_text(token)
    environ = build_environ(directory, store.url, **{contract.ENV_ROLE_ARN: role.arn})
    with running_sidecar(environ, directory) as sidecar:
        sidecar.wait_for_log('"next_refresh"')
        yield sidecar


@dataclass(frozen=True)
class Refused:
    """A token that does not get the role, and the error."""

    build_token: Callable[[Issuer, Role], str]
    role: str
    code: str
    message: str
    """The beginning of the message of STS."""

    status: int
    """403: permanent error; 503: transient error, the next token can succeed."""


REFUSED = {
    "audience": Refused(
        lambda issuer, writer: issuer.token(writer.subject, audience="vault"),
        role="writer",
        code="InvalidParameterValue",
        message="failed to validate web identity token: invalid token audience",
        status=403,
    ),
    "signature": Refused(
        lambda issuer, writer: issuer.forger().token(writer.subject),
        role="writer",
        code="InvalidParameterValue",
        message="failed to validate web identity token: invalid token format",
        status=403,
    ),
    "subject": Refused(
        lambda issuer, _: issuer.token("system:serviceaccount:team-a:other"),
        role="writer",
        code="AccessDenied",
        message="trust policy validation failed",
        status=403,
    ),
    "role-of-another-pod": Refused(
        lambda issuer, writer: issuer.token(writer.subject),
        role="reader",
        code="AccessDenied",
        message="trust policy validation failed",
        status=403,
    ),
    "expired": Refused(
        lambda issuer, writer: issuer.token(writer.subject, lifetime_seconds=-60),
        role="writer",
        code="ExpiredTokenException",
        message="failed to validate web identity token: token has expired",
        status=503,
    ),
}


@pytest.fixture(scope="module")
def writer_sidecar(seaweedfs: Seaweedfs, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A sidecar with the writer's token and role."""
    writer = seaweedfs.roles["writer"]
    with sidecar_for(writer, issuer.token(writer.subject), seaweedfs, tmp_path_factory.mktemp("writer")) as sidecar:
        yield sidecar


@pytest.fixture(scope="module", params=REFUSED.values(), ids=list(REFUSED))
def refused(request: pytest.FixtureRequest) -> Refused:
    """A wrong token."""
    case: Refused = request.param
    return case


@pytest.fixture(scope="module")
def refused_sidecar(
    refused: Refused, seaweedfs: Seaweedfs, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sidecar]:
    """A sidecar whose token does not match its role."""
    token = refused.build_token(issuer, seaweedfs.roles["writer"])
    with sidecar_for(seaweedfs.roles[refused.role], token, seaweedfs, tmp_path_factory.mktemp("refused")) as sidecar:
        yield sidecar


def test_boto3_through_imds_reports_no_credentials_for_a_wrong_token(
    refused_sidecar: Sidecar, seaweedfs: Seaweedfs, home: Path
) -> None:
    result = build_app(home, seaweedfs.url, build_imds_environ(refused_sidecar.port)).python(STORE, "team-a")

    assert (result.code, result.error) == (1, NO_CREDENTIALS)


def test_boto3_through_ecs_reports_the_error_of_sts_for_a_wrong_token(
    refused: Refused, refused_sidecar: Sidecar, seaweedfs: Seaweedfs, home: Path
) -> None:
    result = build_app(home, seaweedfs.url, build_ecs_environ(refused_sidecar.port)).python(STORE, "team-a")

    assert result.code == 1
    assert result.error.startswith("botocore.exceptions.CredentialRetrievalError")
    assert f"response {refused.status} from container metadata" in result.error
    assert refused.code in result.error
    assert refused.message in result.error


def test_container_endpoint_returns_the_error_of_sts(refused: Refused, refused_sidecar: Sidecar) -> None:
    reply = refused_sidecar.request(CREDENTIALS_PATH)

    document = json.loads(reply.body)
    assert reply.status == refused.status
    assert document["code"] == document["Code"] == refused.code
    assert document["message"] == document["Message"]
    assert document["message"].startswith(refused.message)


@both_ways
def test_right_token_can_use_its_bucket(
    build_way: Callable[[int], dict[str, str]], writer_sidecar: Sidecar, seaweedfs: Seaweedfs, home: Path
) -> None:
    app = build_app(home, seaweedfs.url, build_way(writer_sidecar.port))

    assert app.python(STORE, "team-a").output == "hello"
    assert app.aws("s3", "ls", "s3://team-a").output.endswith("greeting")


@both_ways
def test_right_token_cannot_use_another_bucket(
    build_way: Callable[[int], dict[str, str]], writer_sidecar: Sidecar, seaweedfs: Seaweedfs, home: Path
) -> None:
    app = build_app(home, seaweedfs.url, build_way(writer_sidecar.port))

    result = app.python(STORE, "team-b")

    assert (result.code, result.output) == (1, "")
    assert "An error occurred (AccessDenied) when calling the PutObject operation" in result.error
    assert "(AccessDenied) when calling the ListObjectsV2 operation" in app.aws("s3", "ls", "s3://team-b").error
