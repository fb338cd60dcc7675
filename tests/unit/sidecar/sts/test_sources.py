"""Who asks for the pod's role: the chain of roles, the node's role; and that nobody's AWS settings play a part."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure, State
from sidecar.credentials.state_file import StateFile
from sidecar.errors import ConfigError
from sidecar.status import build_status, format_status
from sidecar.sts import process
from sidecar.sts.__main__ import build_chain
from sidecar.sts.client import Sts, Token
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
def environ(faulty_sts: FaultySts, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "token").write_text("to.ke.n")
    return build_environ(tmp_path, faulty_sts.url)


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
    return process.wait_for_result(process.spawn(environ, attempts=1), Config.from_environ(environ))


def refuse(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        Config.from_environ(environ)
    return str(caught.value)


def read_signer(request: Form) -> str | None:
    """The id of the key that a request is signed with."""
    _, _, signed = request.get("Authorization", "").partition("Credential=")
    return signed.partition("/")[0] or None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"PODROLE_INTERMEDIATE_ROLE": "hub"}, "PODROLE_INTERMEDIATE_ROLE is 'hub': it must be the ARN of an IAM role"),
        ({"PODROLE_INTERMEDIATE_ROLE": HOP, "PODROLE_SESSION_DURATION": "3601"}, "has 3600 at most"),
        ({"PODROLE_CREDENTIAL_SOURCE": "node", "PODROLE_SESSION_DURATION": "7200"}, "has 3600 at most"),
        ({"PODROLE_CREDENTIAL_SOURCE": "Node"}, "PODROLE_CREDENTIAL_SOURCE is 'Node'"),
        ({"PODROLE_EXTERNAL_ID": "42"}, "PODROLE_EXTERNAL_ID is set: a web identity has no such thing"),
        ({"PODROLE_SESSION_TAGS": "a=b"}, "PODROLE_SESSION_TAGS is set: a web identity has no such thing"),
        (CHAINED | {"PODROLE_EXTERNAL_ID": "4"}, "PODROLE_EXTERNAL_ID is '4'"),
        (CHAINED | {"PODROLE_SESSION_TAGS": "a"}, "PODROLE_SESSION_TAGS is 'a'"),
        (CHAINED | {"PODROLE_SESSION_TAGS": "a=b,"}, "PODROLE_SESSION_TAGS is 'a=b,'"),
        ({"PODROLE_USE_FIPS": "true"}, "PODROLE_USE_FIPS and PODROLE_STS_ENDPOINT are both set"),
        ({"PODROLE_STS_CA_PEM": "/etc/ca.pem"}, "PODROLE_STS_CA_PEM is '/etc/ca.pem'"),
        ({"PODROLE_STS_PROXY": "http://user:pass@proxy:3128"}, "PODROLE_STS_PROXY is"),
        ({"PODROLE_NODE_METADATA_ENDPOINT": "https://169.254.169.254"}, "PODROLE_NODE_METADATA_ENDPOINT is"),
    ],
)
def test_a_source_that_cannot_be_is_refused_at_start(changes: dict[str, str], said: str, tmp_path: Path) -> None:
    assert said in refuse(build_environ(tmp_path, "https://sts.example", **changes))


def test_a_hop_that_is_refused_is_named_with_who_asked(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    faulty_sts.will(answers.DENIED)

    outcome = fetch(environ | CHAINED)

    assert isinstance(outcome, Failure)
    assert outcome.code == "AccessDenied"
    assert outcome.is_permanent
    assert outcome.message.endswith(f"(hop 1 of 2, the web identity assumes {HOP})")
    assert find_hint(outcome) == HINTS["AccessDenied"]
    assert len(faulty_sts.requests) == 1


def test_the_role_that_a_hop_may_not_assume_is_named_with_the_remedy(
    environ: dict[str, str], faulty_sts: FaultySts
) -> None:
    faulty_sts.will(answers.GRANTED, REFUSED_ROLE)

    outcome = fetch(environ | CHAINED)

    assert isinstance(outcome, Failure)
    assert outcome.message.startswith("hub is not authorized to perform: sts:AssumeRole on reader (")
    assert outcome.message.endswith(f"(hop 2 of 2, {HOP} assumes {ROLE_ARN})")
    assert find_hint(outcome) == CHAINED_HINTS["AccessDenied"]
    assert "sts:TagSession" in find_hint(outcome)
    assert len(faulty_sts.requests) == 2


def test_a_passing_fault_of_the_second_hop_begins_the_chain_anew(
    environ: dict[str, str], faulty_sts: FaultySts
) -> None:
    faulty_sts.will(answers.GRANTED, answers.THROTTLED)

    outcome = process.wait_for_result(
        process.spawn(environ | CHAINED, attempts=2), Config.from_environ(environ | CHAINED)
    )

    assert isinstance(outcome, Credentials)
    actions = [request["Action"] for request in faulty_sts.requests]
    assert actions == ["AssumeRoleWithWebIdentity", "AssumeRole"] * 2


def test_the_pods_role_is_assumed_from_the_one_that_the_web_identity_assumes(
    environ: dict[str, str], faulty_sts: FaultySts
) -> None:
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


def test_external_id_and_tags_go_with_the_pods_role_alone(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    fetch(environ | CHAINED)

    first, second = faulty_sts.requests
    tags = {second[f"Tags.member.{n}.Key"]: second.get(f"Tags.member.{n}.Value", "") for n in (1, 2, 3)}
    assert second["ExternalId"] == "shop:42"
    assert tags == {"team": "shop", "cost center": "a=b", "empty": ""}
    assert not [name for name in first if name.startswith(("Tags", "ExternalId"))]


def test_a_chain_by_the_real_protocol_gives_the_pods_role(sts: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("to.ke.n")

    outcome = fetch(build_environ(tmp_path, sts, **CHAINED))

    assert isinstance(outcome, Credentials)
    assert outcome.role_arn == ROLE_ARN


def test_without_credentials_of_the_node_its_service_is_named_and_sts_not_asked(
    environ: dict[str, str], faulty_sts: FaultySts
) -> None:
    asked = {"PODROLE_CREDENTIAL_SOURCE": "node", "PODROLE_NODE_METADATA_ENDPOINT": "http://127.0.0.1:1"}

    outcome = fetch(environ | asked)

    assert isinstance(outcome, Failure)
    assert outcome.code == "NodeCredentialsMissing"
    assert "http://127.0.0.1:1" in outcome.message
    assert "hop limit" in find_hint(outcome)
    assert not outcome.is_permanent
    assert faulty_sts.requests == []


def test_the_nodes_role_assumes_the_pods(environ: dict[str, str], faulty_sts: FaultySts, node: MetadataServer) -> None:
    outcome = fetch(environ | as_node(node))

    [request] = faulty_sts.requests
    assert isinstance(outcome, Credentials)
    assert outcome.role_arn == ROLE_ARN
    assert outcome.access_key_id == "ASIA0000000000000001"
    assert (request["Action"], request["RoleArn"]) == ("AssumeRole", ROLE_ARN)
    assert read_signer(request) == "ASIANODE"


def test_the_node_may_begin_a_chain_as_well(
    environ: dict[str, str], faulty_sts: FaultySts, node: MetadataServer
) -> None:
    faulty_sts.will(answers.DENIED)

    outcome = fetch(environ | CHAINED | as_node(node))

    assert isinstance(outcome, Failure)
    assert outcome.message.endswith(f"(hop 1 of 2, the node's role node-role assumes {HOP})")
    assert find_hint(outcome) == CHAINED_HINTS["AccessDenied"]


def as_node(node: MetadataServer) -> dict[str, str]:
    return {"PODROLE_CREDENTIAL_SOURCE": "node", "PODROLE_NODE_METADATA_ENDPOINT": f"http://{node.endpoint}"}


def test_nobodys_settings_files_or_proxies_change_what_is_asked(
    environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path
) -> None:
    (tmp_path / ".aws").mkdir()
    settings = (
        "endpoint_url = http://127.0.0.1:1\nregion = cn-north-1\nuse_fips_endpoint = true\nca_bundle = /nowhere\n"
    )
    (tmp_path / ".aws/config").write_text(f"[default]\n{settings}")
    (tmp_path / ".aws/credentials").write_text("[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = x\n")

    outcome = fetch(environ | CHAINED | misleading(tmp_path))

    first, second = faulty_sts.requests
    assert isinstance(outcome, Credentials)
    assert read_signer(first) is None
    assert read_signer(second) == "ASIA0000000000000001"
    assert "/eu-west-1/sts/" in second["Authorization"]


def misleading(home: Path) -> dict[str, str]:
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:1")
    return {
        **proxies,
        **{name.lower(): value for name, value in proxies.items()},
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": "AKIASTRANGER",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_SESSION_TOKEN": "x",
        "AWS_PROFILE": "stranger",
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
        "PODROLE_STRANGER": "x",
    }


def test_the_child_has_no_variable_that_is_not_in_the_list(
    environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path
) -> None:
    faulty_sts.will(afterwards=answers.HANGING)
    running = process.spawn(environ | misleading(tmp_path))
    faulty_sts.await_requests(1)

    given = dict(
        pair.partition("=")[::2] for pair in Path(f"/proc/{running.pid}/environ").read_text().rstrip("\0").split("\0")
    )
    process.wait_for_result(running, Config.from_environ(environ), deadline_seconds=0)

    ours = {name for name in environ if name.startswith("PODROLE_")}
    assert given.keys() - {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"} == ours | process.SET_VARIABLES.keys()
    assert given.items() >= process.SET_VARIABLES.items()
    assert given["HOME"] == given["AWS_CONFIG_FILE"] == given["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull


HOSTS = {
    ("eu-west-1", "false"): "sts.eu-west-1.amazonaws.com",
    ("us-east-1", "false"): "sts.us-east-1.amazonaws.com",
    ("cn-north-1", "false"): "sts.cn-north-1.amazonaws.com.cn",
    ("us-gov-west-1", "false"): "sts.us-gov-west-1.amazonaws.com",
    ("us-iso-east-1", "false"): "sts.us-iso-east-1.c2s.ic.gov",
    ("us-isob-east-1", "false"): "sts.us-isob-east-1.sc2s.sgov.gov",
    ("eu-isoe-west-1", "false"): "sts.eu-isoe-west-1.cloud.adc-e.uk",
    ("us-isof-south-1", "false"): "sts.us-isof-south-1.csp.hci.ic.gov",
    ("eusc-de-east-1", "false"): "sts.eusc-de-east-1.amazonaws.eu",
    ("us-east-1", "true"): "sts-fips.us-east-1.amazonaws.com",
    ("us-west-2", "true"): "sts-fips.us-west-2.amazonaws.com",
    ("us-gov-west-1", "true"): "sts.us-gov-west-1.amazonaws.com",
}


@pytest.mark.parametrize(("region", "use_fips"), HOSTS)
def test_sts_is_asked_in_the_region_by_the_name_of_its_partition(region: str, use_fips: str, tmp_path: Path) -> None:
    changes = {"PODROLE_REGION": region, "PODROLE_USE_FIPS": use_fips}
    config = Config.from_environ(build_environ(tmp_path, "", **changes))

    client = Sts(config).build_client(Token("to.ke.n"))

    assert client.meta.endpoint_url == f"https://{HOSTS[region, use_fips]}"


def test_an_endpoint_of_the_operators_is_asked_instead(tmp_path: Path) -> None:
    config = Config(ROLE_ARN, "eu-west-1", "shop.web", str(tmp_path), sts_endpoint="https://vpce-1.example:8443")

    assert Sts(config).build_client(Token("to.ke.n")).meta.endpoint_url == "https://vpce-1.example:8443"


def test_without_a_chain_nothing_is_asked_but_the_role(tmp_path: Path) -> None:
    [hop] = build_chain(Config(ROLE_ARN, "eu-west-1", "shop.web", str(tmp_path)))

    assert hop.place == ""
    assert hop.parameters == {"RoleArn": ROLE_ARN, "RoleSessionName": "shop.web", "DurationSeconds": 3600}


@pytest.mark.parametrize(
    "changes",
    [
        {"credential_source": "node"},
        {"intermediate_role": HOP},
        {"intermediate_role": HOP, "external_id": "42"},
        {"intermediate_role": HOP, "session_tags": (("a", "b"),)},
    ],
)
def test_credentials_that_came_another_way_are_not_taken_up(changes: dict[str, str], tmp_path: Path) -> None:
    config = Config(ROLE_ARN, "eu-west-1", "shop.web", str(tmp_path), pod_uid="0c7c5f4e-1")
    StateFile.of(config).open()

    assert StateFile.of(config).load() is not None
    assert StateFile.of(replace(config, **changes)).load() is None  # type: ignore[arg-type] # one value for each field


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, "source        web-identity, mode redirect"),
        ({"intermediate_role": HOP}, f"source        web-identity through {HOP}, mode redirect"),
        ({"credential_source": "node"}, "source        node (unsafe), mode redirect"),
    ],
)
def test_the_status_names_the_source_and_calls_the_nodes_unsafe(
    changes: dict[str, str], shown: str, tmp_path: Path
) -> None:
    config = replace(Config(ROLE_ARN, "eu-west-1", "shop.web", str(tmp_path)), **changes)  # type: ignore[arg-type] # as above

    status = build_status(config, State(refresh_at=0), now=0)

    assert shown in format_status(status)
    assert (status["source"], status["intermediate_role"]) == (config.credential_source, config.intermediate_role)
