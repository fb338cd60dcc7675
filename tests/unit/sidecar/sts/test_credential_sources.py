"""Credential sources and role chains, without a process: validation, chain, endpoint, state file, status."""

from pathlib import Path
from typing import Any

import pytest

from contract.modes import CredentialSource
from sidecar.config import Config
from sidecar.credentials.schedule import State
from sidecar.credentials.state_file import StateFile
from sidecar.credentials.state_saver import StateSaver
from sidecar.errors import ConfigError
from sidecar.status import build_status, format_status
from sidecar.sts.chain import build_chain
from sidecar.sts.client import AccessKeys, Sts
from testing.sidecars import POD_UID, ROLE_ARN, build_environ

KEYS = AccessKeys("the node's role node-role", "ASIANODE", "secret", "token")
HOP = "arn:aws:iam::999988887777:role/hub"
CHAINED = {
    "PODROLE_INTERMEDIATE_ROLE": HOP,
    "PODROLE_EXTERNAL_ID": "shop:42",
    "PODROLE_SESSION_TAGS": "team=shop,cost center=a=b,empty=",
}


def build_config(run_directory: Path, **settings: Any) -> Config:
    return Config(
        role_arn=ROLE_ARN,
        region="eu-west-1",
        session_name="shop.web",
        run_directory=str(run_directory),
        pod_uid=POD_UID,
        **settings,
    )


def read_config_error(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        Config.from_environ(environ)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"PODROLE_INTERMEDIATE_ROLE": "hub"},
            "PODROLE_INTERMEDIATE_ROLE is 'hub': it must be the ARN of an IAM role",
            id="intermediate-role-not-an-arn",
        ),
        pytest.param(
            {"PODROLE_INTERMEDIATE_ROLE": HOP, "PODROLE_SESSION_DURATION": "3601"},
            "role chaining limits sessions to 3600",
            id="chained-session-too-long",
        ),
        pytest.param(
            {"PODROLE_CREDENTIAL_SOURCE": "node", "PODROLE_SESSION_DURATION": "7200"},
            "role chaining limits sessions to 3600",
            id="node-session-too-long",
        ),
        pytest.param({"PODROLE_CREDENTIAL_SOURCE": "Node"}, "PODROLE_CREDENTIAL_SOURCE is 'Node'", id="unknown-source"),
        pytest.param(
            {"PODROLE_EXTERNAL_ID": "42"},
            "PODROLE_EXTERNAL_ID is set: web identity credentials cannot use it",
            id="external-id-without-chain",
        ),
        pytest.param(
            {"PODROLE_SESSION_TAGS": "a=b"},
            "PODROLE_SESSION_TAGS is set: web identity credentials cannot use it",
            id="tags-without-chain",
        ),
        pytest.param(CHAINED | {"PODROLE_EXTERNAL_ID": "4"}, "PODROLE_EXTERNAL_ID is '4'", id="external-id-too-short"),
        pytest.param(CHAINED | {"PODROLE_SESSION_TAGS": "a"}, "PODROLE_SESSION_TAGS is 'a'", id="tag-without-value"),
        pytest.param(CHAINED | {"PODROLE_SESSION_TAGS": "a=b,"}, "PODROLE_SESSION_TAGS is 'a=b,'", id="trailing-comma"),
        pytest.param(
            {"PODROLE_USE_FIPS": "true"},
            "PODROLE_USE_FIPS and PODROLE_STS_ENDPOINT are both set",
            id="fips-with-endpoint",
        ),
        pytest.param(
            {"PODROLE_USE_DUALSTACK": "true"},
            "PODROLE_USE_DUALSTACK and PODROLE_STS_ENDPOINT are both set",
            id="dual-stack-with-endpoint",
        ),
        pytest.param({"PODROLE_STS_CA_PEM": "/etc/ca.pem"}, "PODROLE_STS_CA_PEM is '/etc/ca.pem'", id="ca-is-a-path"),
        pytest.param(
            {"PODROLE_STS_PROXY": "http://user:pass@proxy:3128"}, "PODROLE_STS_PROXY is", id="proxy-with-password"
        ),
        pytest.param(
            {"PODROLE_NODE_METADATA_ENDPOINT": "https://169.254.169.254"},
            "PODROLE_NODE_METADATA_ENDPOINT is",
            id="node-endpoint-with-https",
        ),
    ],
)
def test_invalid_source_settings_are_config_errors(changes: dict[str, str], message: str, tmp_path: Path) -> None:
    assert message in read_config_error(build_environ(tmp_path, "https://sts.example", **changes))


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
def test_endpoint_is_the_regional_host_of_the_partition(region: str, use_fips: str, tmp_path: Path) -> None:
    changes = {"PODROLE_REGION": region, "PODROLE_USE_FIPS": use_fips}
    config = Config.from_environ(build_environ(tmp_path, "", **changes))

    client = Sts(config).build_client(KEYS)

    assert client.meta.endpoint_url == f"https://{HOSTS[region, use_fips]}"


def test_configured_endpoint_is_used(tmp_path: Path) -> None:
    config = build_config(
        tmp_path,
        sts_endpoint="https://vpce-1.example:8443",
    )

    assert Sts(config).build_client(KEYS).meta.endpoint_url == "https://vpce-1.example:8443"


def test_chain_without_intermediate_role_has_one_role(tmp_path: Path) -> None:
    [hop] = build_chain(build_config(tmp_path))

    assert hop.position == ""
    assert hop.parameters == {"RoleArn": ROLE_ARN, "RoleSessionName": "shop.web", "DurationSeconds": 3600}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"credential_source": CredentialSource.NODE}, id="source-node"),
        pytest.param({"intermediate_role": HOP}, id="intermediate-role"),
        pytest.param({"intermediate_role": HOP, "external_id": "42"}, id="external-id"),
        pytest.param({"intermediate_role": HOP, "session_tags": (("a", "b"),)}, id="session-tags"),
    ],
)
def test_state_saved_with_another_source_is_ignored(changes: dict[str, Any], tmp_path: Path) -> None:
    config = build_config(tmp_path)
    StateSaver(StateFile.for_config(config))

    assert StateFile.for_config(config).load() is not None
    assert StateFile.for_config(config._replace(**changes)).load() is None


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        pytest.param({}, "source        web-identity, mode redirect", id="web-identity"),
        pytest.param(
            {"intermediate_role": HOP},
            f"source        web-identity through {HOP}, mode redirect",
            id="intermediate-role",
        ),
        pytest.param(
            {"credential_source": CredentialSource.NODE}, "source        node (unsafe), mode redirect", id="node"
        ),
    ],
)
def test_status_shows_the_source(changes: dict[str, Any], shown: str, tmp_path: Path) -> None:
    config = build_config(tmp_path)._replace(**changes)

    status = build_status(config, State(refresh_at=0), now=0)

    assert shown in format_status(status)
    assert (status["source"], status["intermediate_role"]) == (config.credential_source, config.intermediate_role)
