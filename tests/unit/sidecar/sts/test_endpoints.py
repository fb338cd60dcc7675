"""The endpoint of STS, compared with botocore's resolver."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore
import pytest
from botocore import UNSIGNED
from botocore.config import Config as ClientConfig
from botocore.endpoint_provider import EndpointProvider
from botocore.loaders import create_loader

from sidecar.config import Config
from sidecar.sts.endpoints import build_sts_url, find_sts_url
from testing.sidecars import build_environ

PARTITIONS = json.loads((Path(botocore.__file__).parent / "data/partitions.json").read_text())
Kind = dict[str, bool]

KINDS = [
    pytest.param({"use_fips": False, "use_dual_stack": False}, id="ipv4"),
    pytest.param({"use_fips": True, "use_dual_stack": False}, id="fips"),
    pytest.param({"use_fips": False, "use_dual_stack": True}, id="dual-stack"),
    pytest.param({"use_fips": True, "use_dual_stack": True}, id="fips-and-dual-stack"),
]


def list_regions() -> Iterator[str]:
    """The regions of every partition, without pseudo-regions such as aws-global, which the setting refuses."""
    for partition in PARTITIONS["partitions"]:
        yield from (region for region in partition["regions"] if not region.endswith("-global"))


@pytest.fixture(scope="module")
def provider() -> EndpointProvider:
    return EndpointProvider(create_loader().load_service_model("sts", "endpoint-rule-set-1"), PARTITIONS)


def resolve(provider: EndpointProvider, region: str, kind: Kind) -> str:
    url: str = provider.resolve_endpoint(
        Region=region, UseFIPS=kind["use_fips"], UseDualStack=kind["use_dual_stack"], UseGlobalEndpoint=False
    ).url
    return url


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("region", list(list_regions()))
def test_endpoint_is_the_one_that_botocore_resolves(provider: EndpointProvider, region: str, kind: Kind) -> None:
    """botocore raises nothing here. If a partition without FIPS or dual-stack appears, the settings must refuse it."""
    assert build_sts_url(region, **kind) == resolve(provider, region, kind)


def test_every_partition_is_compared() -> None:
    regions = list(list_regions())

    assert len(regions) > 40
    assert len(PARTITIONS["partitions"]) == 8
    assert {"eu-west-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "eusc-de-east-1"} <= set(regions)


@pytest.mark.parametrize("region", ["us-east-1", "us-gov-west-1", "cn-north-1", "eu-west-1", "us-iso-east-1"])
def test_clients_of_the_sdk_call_the_same_endpoint(region: str) -> None:
    session = boto3.session.Session()
    for use_fips in (False, True):
        config = ClientConfig(signature_version=UNSIGNED, use_fips_endpoint=use_fips)
        client: Any = session.client("sts", region_name=region, config=config)

        assert build_sts_url(region, use_fips=use_fips, use_dual_stack=False) == client.meta.endpoint_url


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("region", ["eu-somewhere-1", "cn-somewhere-9", "us-gov-north-1", "us-isof-west-3", "xx-new-1"])
def test_region_that_botocore_does_not_know_is_in_the_partition_of_its_prefix(
    provider: EndpointProvider, region: str, kind: Kind
) -> None:
    assert build_sts_url(region, **kind) == resolve(provider, region, kind)


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        pytest.param({}, "https://sts.eu-west-1.amazonaws.com", id="default"),
        pytest.param({"PODROLE_USE_FIPS": "true"}, "https://sts-fips.eu-west-1.amazonaws.com", id="fips"),
        pytest.param({"PODROLE_USE_DUALSTACK": "true"}, "https://sts.eu-west-1.api.aws", id="dual-stack"),
        pytest.param(
            {"PODROLE_STS_ENDPOINT": "https://vpce.example.com:8443/sts"},
            "https://vpce.example.com:8443/sts",
            id="configured",
        ),
    ],
)
def test_settings_choose_the_endpoint(changes: dict[str, str], url: str, tmp_path: Path) -> None:
    assert find_sts_url(Config.from_environ(build_environ(tmp_path, "", **changes))) == url
