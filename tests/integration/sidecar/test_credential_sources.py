"""Credential sources with a child process: the role chain, the node's role; AWS settings have no effect."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure
from sidecar.sts import process
from sidecar.sts.hints import CHAINED_HINTS, HINTS, find_hint
from testing.services import faulty_sts as answers
from testing.services.faulty_sts import FaultySts, Form
from testing.services.imds import MetadataServer, NodeRole
from testing.serving import serving
from testing.sidecars import ROLE_ARN, build_environ

HOP = "arn:aws:iam::999988887777:role/hub"
CHAINED = {
    "PODROLE_INTERMEDIATE_ROLE": HOP,
    "PODROLE_EXTERNAL_ID": "shop:42",
    "PODROLE_SESSION_TAGS": "team=shop,cost center=a=b,empty=",
}
REFUSED_ROLE = answers.build_error(403, "AccessDenied", "hub is not authorized to perform: sts:AssumeRole on reader")


@pytest.fixture
def node() -> Iterator[MetadataServer]:
    """A node's metadata service, with the credentials of its role."""
    keys = {
        "AccessKeyId": "ASIANODE",
        "SecretAccessKey": "s",
        "SessionToken": "n",
        "Expiration": "2040-01-01T00:00:00Z",
    }
    with serving(lambda: MetadataServer("127.0.0.1:0", NodeRole.of("node-role", keys))) as server:
        yield server


def fetch(environ: dict[str, str]) -> Credentials | Failure:
    return process.wait_for_result(process.spawn(environ, attempts=1))


def read_signer(request: Form) -> str | None:
    """Return the id of the key that signed the request."""
    _, _, signed = request.get("Authorization", "").partition("Credential=")
    return signed.partition("/")[0] or None


def test_failed_first_hop_is_named(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    faulty_sts.will(answers.DENIED)

    outcome = fetch(environ | CHAINED)

    assert isinstance(outcome, Failure)
    assert outcome.code == "AccessDenied"
    assert outcome.is_permanent
    assert outcome.message.endswith(f"(hop 1 of 2, the web identity assumes {HOP})")
    assert find_hint(outcome) == HINTS["AccessDenied"]
    assert len(faulty_sts.requests) == 1


def test_failed_second_hop_is_named_with_its_own_hint(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    faulty_sts.will(answers.GRANTED, REFUSED_ROLE)

    outcome = fetch(environ | CHAINED)

    assert isinstance(outcome, Failure)
    assert outcome.message.startswith("hub is not authorized to perform: sts:AssumeRole on reader (")
    assert outcome.message.endswith(f"(hop 2 of 2, {HOP} assumes {ROLE_ARN})")
    assert find_hint(outcome) == CHAINED_HINTS["AccessDenied"]
    assert "sts:TagSession" in find_hint(outcome)
    assert len(faulty_sts.requests) == 2


def test_transient_error_of_second_hop_restarts_the_chain(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    faulty_sts.will(answers.GRANTED, answers.THROTTLED)

    outcome = process.wait_for_result(process.spawn(environ | CHAINED, attempts=2))

    assert isinstance(outcome, Credentials)
    actions = [request["Action"] for request in faulty_sts.requests]
    assert actions == ["AssumeRoleWithWebIdentity", "AssumeRole"] * 2


def test_pods_role_is_assumed_from_the_intermediate_role(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    outcome = fetch(environ | CHAINED | {"PODROLE_SESSION_DURATION": "3600"})

    first, second = faulty_sts.requests
    assert isinstance(outcome, Credentials)
    assert outcome.role_arn == ROLE_ARN
    assert outcome.access_key_id == "ASIA0000000000000002"
    assert (first["Action"], first["RoleArn"], first["DurationSeconds"]) == ("AssumeRoleWithWebIdentity", HOP, "900")
    assert (second["Action"], second["RoleArn"], second["DurationSeconds"]) == ("AssumeRole", ROLE_ARN, "3600")
    assert first["RoleSessionName"] == second["RoleSessionName"] == "shop.web-5d9c7"
    assert read_signer(first) is None
    assert read_signer(second) == "ASIA0000000000000001"
    assert second["X-Amz-Security-Token"] == "token-1"


def test_external_id_and_tags_are_sent_for_the_pods_role_only(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    fetch(environ | CHAINED)

    first, second = faulty_sts.requests
    tags = {second[f"Tags.member.{n}.Key"]: second.get(f"Tags.member.{n}.Value", "") for n in (1, 2, 3)}
    assert second["ExternalId"] == "shop:42"
    assert tags == {"team": "shop", "cost center": "a=b", "empty": ""}
    assert not [name for name in first if name.startswith(("Tags", "ExternalId"))]


def test_role_chain_works_with_moto(sts: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("to.ke.n")

    outcome = fetch(build_environ(tmp_path, sts, **CHAINED))

    assert isinstance(outcome, Credentials)
    assert outcome.role_arn == ROLE_ARN


def test_missing_node_credentials_are_reported_without_calling_sts(
    environ: dict[str, str], faulty_sts: FaultySts
) -> None:
    changes = {"PODROLE_CREDENTIAL_SOURCE": "node", "PODROLE_NODE_METADATA_ENDPOINT": "http://127.0.0.1:1"}

    outcome = fetch(environ | changes)

    assert isinstance(outcome, Failure)
    assert outcome.code == "NodeCredentialsMissing"
    assert "http://127.0.0.1:1" in outcome.message
    assert "HttpPutResponseHopLimit" in find_hint(outcome)
    assert not outcome.is_permanent
    assert faulty_sts.requests == []


def test_nodes_role_assumes_the_pods_role(environ: dict[str, str], faulty_sts: FaultySts, node: MetadataServer) -> None:
    outcome = fetch(environ | build_node_source(node))

    [request] = faulty_sts.requests
    assert isinstance(outcome, Credentials)
    assert outcome.role_arn == ROLE_ARN
    assert outcome.access_key_id == "ASIA0000000000000001"
    assert (request["Action"], request["RoleArn"]) == ("AssumeRole", ROLE_ARN)
    assert read_signer(request) == "ASIANODE"


def test_nodes_role_can_start_a_chain(environ: dict[str, str], faulty_sts: FaultySts, node: MetadataServer) -> None:
    faulty_sts.will(answers.DENIED)

    outcome = fetch(environ | CHAINED | build_node_source(node))

    assert isinstance(outcome, Failure)
    assert outcome.message.endswith(f"(hop 1 of 2, the node's role node-role assumes {HOP})")
    assert find_hint(outcome) == CHAINED_HINTS["AccessDenied"]


def build_node_source(node: MetadataServer) -> dict[str, str]:
    return {"PODROLE_CREDENTIAL_SOURCE": "node", "PODROLE_NODE_METADATA_ENDPOINT": f"http://{node.endpoint}"}


def test_aws_settings_files_and_proxies_do_not_affect_requests(
    environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path
) -> None:
    (tmp_path / ".aws").mkdir()
    settings = (
        "endpoint_url = http://127.0.0.1:1\nregion = cn-north-1\nuse_fips_endpoint = true\nca_bundle = /nowhere\n"
    )
    (tmp_path / ".aws/config").write_text(f"[default]\n{settings}")
    (tmp_path / ".aws/credentials").write_text("[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = x\n")

    outcome = fetch(environ | CHAINED | build_conflicting_aws_settings(tmp_path))

    first, second = faulty_sts.requests
    assert isinstance(outcome, Credentials)
    assert read_signer(first) is None
    assert read_signer(second) == "ASIA0000000000000001"
    assert "/eu-west-1/sts/" in second["Authorization"]


def build_conflicting_aws_settings(home: Path) -> dict[str, str]:
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:1")
    return {
        **proxies,
        **{name.lower(): value for name, value in proxies.items()},
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": "AKIAOTHER",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_SESSION_TOKEN": "x",
        "AWS_PROFILE": "other",
        "AWS_REGION": "cn-north-1",
        "AWS_DEFAULT_REGION": "cn-north-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_CA_BUNDLE": "/nowhere",
        "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/other",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere",
        "AWS_CONFIG_FILE": str(home / ".aws/config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / ".aws/credentials"),
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1",
        "REQUESTS_CA_BUNDLE": "/nowhere",
        "SSL_CERT_FILE": "/nowhere",
        "PODROLE_UNKNOWN": "x",
    }


def test_child_has_only_the_allowed_variables(environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path) -> None:
    faulty_sts.will(afterwards=answers.HANGING)
    running = process.spawn(environ | build_conflicting_aws_settings(tmp_path))
    faulty_sts.await_requests(1)

    given = dict(
        pair.partition("=")[::2] for pair in Path(f"/proc/{running.pid}/environ").read_text().rstrip("\0").split("\0")
    )
    process.wait_for_result(running, deadline_seconds=0)

    ours = {name for name in environ if name.startswith("PODROLE_")}
    assert given.keys() - {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"} == ours | process.SET_VARIABLES.keys()
    assert given.items() >= process.SET_VARIABLES.items()
    assert given["HOME"] == given["AWS_CONFIG_FILE"] == given["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
