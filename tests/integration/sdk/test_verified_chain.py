"""From a pod's token to a bucket, at an STS that verifies: the right token gets its bucket, every other one nothing."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import contract
from testing.services.issuer import Issuer
from testing.services.seaweedfs import Role, Seaweedfs
from testing.sidecars import Sidecar, build_environ, running_sidecar
from tests.integration.sdk.clients import STORE, build_app, build_ecs_environ, build_imds_environ

NO_CREDENTIALS = "botocore.exceptions.NoCredentialsError: Unable to locate credentials"

both_ways = pytest.mark.parametrize("build_way", [build_imds_environ, build_ecs_environ], ids=["imds", "ecs"])


@contextmanager
def sidecar_for(role: Role, token: str, store: Seaweedfs, directory: Path) -> Iterator[Sidecar]:
    """A sidecar that asks for a role with a token, after its first answer from the STS."""
    (directory / "token").write_text(token)
    environ = build_environ(directory, store.url, **{contract.ENV_ROLE_ARN: role.arn})
    with running_sidecar(environ, directory) as sidecar:
        sidecar.wait_for_log('"next"')
        yield sidecar


@dataclass(frozen=True)
class Refused:
    """A token that does not get the writer's role, and what is said about it."""

    build_token: Callable[[Issuer, Role], str]
    role: str
    code: str
    sentence: str
    """The beginning of what STS says."""

    status: int
    """403: for good; 503: the next token may do."""


REFUSED = {
    "audience": Refused(
        lambda issuer, writer: issuer.token(writer.subject, audience="vault"),
        role="writer",
        code="InvalidParameterValue",
        sentence="failed to validate web identity token: invalid token audience",
        status=403,
    ),
    "signature": Refused(
        lambda issuer, writer: issuer.forger().token(writer.subject),
        role="writer",
        code="InvalidParameterValue",
        sentence="failed to validate web identity token: invalid token format",
        status=403,
    ),
    "subject": Refused(
        lambda issuer, _: issuer.token("system:serviceaccount:team-a:other"),
        role="writer",
        code="AccessDenied",
        sentence="trust policy validation failed",
        status=403,
    ),
    "role of another pod": Refused(
        lambda issuer, writer: issuer.token(writer.subject),
        role="reader",
        code="AccessDenied",
        sentence="trust policy validation failed",
        status=403,
    ),
    "expired": Refused(
        lambda issuer, writer: issuer.token(writer.subject, lifetime_seconds=-60),
        role="writer",
        code="ExpiredTokenException",
        sentence="failed to validate web identity token: token has expired",
        status=503,
    ),
}


@pytest.fixture(scope="module")
def writer_sidecar(seaweedfs: Seaweedfs, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """The sidecar of the writer's pod."""
    writer = seaweedfs.roles["writer"]
    with sidecar_for(writer, issuer.token(writer.subject), seaweedfs, tmp_path_factory.mktemp("writer")) as sidecar:
        yield sidecar


@pytest.fixture(scope="module", params=REFUSED.values(), ids=list(REFUSED))
def refused(request: pytest.FixtureRequest) -> Refused:
    """Each wrong token."""
    case: Refused = request.param
    return case


@pytest.fixture(scope="module")
def refused_sidecar(
    refused: Refused, seaweedfs: Seaweedfs, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sidecar]:
    """The sidecar of a pod whose token is wrong for the role that it names."""
    token = refused.build_token(issuer, seaweedfs.roles["writer"])
    with sidecar_for(seaweedfs.roles[refused.role], token, seaweedfs, tmp_path_factory.mktemp("refused")) as sidecar:
        yield sidecar


def test_without_credentials_boto3_says_that_there_are_none_where_it_asks_the_metadata_service(
    refused_sidecar: Sidecar, seaweedfs: Seaweedfs, home: Path
) -> None:
    said = build_app(home, seaweedfs.url, build_imds_environ(refused_sidecar.port)).python(STORE, "team-a")

    assert (said.code, said.complaint) == (1, NO_CREDENTIALS)


def test_without_credentials_boto3_repeats_what_sts_said_where_it_asks_as_in_ecs(
    refused: Refused, refused_sidecar: Sidecar, seaweedfs: Seaweedfs, home: Path
) -> None:
    said = build_app(home, seaweedfs.url, build_ecs_environ(refused_sidecar.port)).python(STORE, "team-a")

    assert said.code == 1
    assert said.complaint.startswith("botocore.exceptions.CredentialRetrievalError")
    assert f"response {refused.status} from container metadata" in said.complaint
    assert refused.code in said.complaint
    assert refused.sentence in said.complaint


def test_the_container_endpoint_repeats_what_sts_said(refused: Refused, refused_sidecar: Sidecar) -> None:
    reply = refused_sidecar.request(contract.CREDENTIALS_PATH)

    document = json.loads(reply.body)
    assert reply.status == refused.status
    assert document["code"] == document["Code"] == refused.code
    assert document["message"] == document["Message"]
    assert document["message"].startswith(refused.sentence)


@both_ways
def test_the_right_token_gets_its_bucket(
    build_way: Callable[[int], dict[str, str]], writer_sidecar: Sidecar, seaweedfs: Seaweedfs, home: Path
) -> None:
    app = build_app(home, seaweedfs.url, build_way(writer_sidecar.port))

    assert app.python(STORE, "team-a").output == "hello"
    assert app.aws("s3", "ls", "s3://team-a").output.endswith("greeting")


@both_ways
def test_the_right_token_gets_no_other_bucket(
    build_way: Callable[[int], dict[str, str]], writer_sidecar: Sidecar, seaweedfs: Seaweedfs, home: Path
) -> None:
    app = build_app(home, seaweedfs.url, build_way(writer_sidecar.port))

    said = app.python(STORE, "team-b")

    assert (said.code, said.output) == (1, "")
    assert "An error occurred (AccessDenied) when calling the PutObject operation" in said.complaint
    assert "(AccessDenied) when calling the ListObjectsV2 operation" in app.aws("s3", "ls", "s3://team-b").complaint
