"""Which names of regions the injector accepts, and what it suggests for others."""

import json
from pathlib import Path

import botocore
import pytest

from injector.config import Config
from injector.errors import ConfigError
from injector.partitions import KNOWN_REGIONS, partition_of
from sidecar.config import Config as SidecarConfig
from testing.cases import ENVIRON
from testing.sidecars import build_environ

PARTITIONS = json.loads(Path(botocore.__file__).with_name("data").joinpath("partitions.json").read_text())["partitions"]
REGIONS = {
    region: partition["id"]
    for partition in PARTITIONS
    for region in partition["regions"]
    if not region.endswith("-global")
}
VPC_ENDPOINT = "https://vpce-1-2.sts.eu-west-1.vpce.amazonaws.com"
STORE = "https://store.example.com"


def refuse(region: str, endpoint: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        Config.from_environ(ENVIRON | {"PODROLE_REGION": region, "PODROLE_STS_ENDPOINT": endpoint})
    _, line = str(caught.value).splitlines()
    return line.strip()


@pytest.mark.parametrize(
    ("region", "meant"),
    [
        pytest.param("eu-wst-1", "eu-west-1", id="missing-letter"),
        pytest.param("us-est-1", "us-east-1", id="missing-letter-of-two-regions"),
        pytest.param("eu-wets-1", "eu-west-1", id="swapped-letters"),
        pytest.param("eu-west1", "eu-west-1", id="missing-dash"),
        pytest.param("eu_west_1", "eu-west-1", id="underscores"),
        pytest.param("EU-WEST-1", "eu-west-1", id="upper-case"),
        pytest.param("eu-west-1a", "eu-west-1", id="zone"),
        pytest.param("us-east-11", "us-east-1", id="two-digits"),
        pytest.param("us-gov-wst-1", "us-gov-west-1", id="us-gov"),
        pytest.param("cn-nort-1", "cn-north-1", id="china"),
        pytest.param("us-isob-est-1", "us-isob-east-1", id="us-isob"),
        pytest.param("eusc-east-1", "us-east-1", id="european-sovereign-cloud-without-a-country"),
        pytest.param("xxx-west-1", None, id="unknown-area"),
        pytest.param("garage", None, id="region-of-a-store"),
        pytest.param("aws-global", None, id="no-region"),
        pytest.param("eu-west-1" * 1000, None, id="long"),
    ],
)
def test_region_that_no_partition_has_is_refused_with_the_nearest_one(region: str, meant: str | None) -> None:
    refusal = refuse(region)

    expected = "it must be an AWS region, such as eu-west-1; another name needs PODROLE_STS_ENDPOINT"
    assert refusal.startswith(f"PODROLE_REGION is {ascii(region)[:100]}")
    assert refusal.endswith(f": {expected}; did you mean {meant}?" if meant else f": {expected}")


@pytest.mark.parametrize("region", REGIONS)
def test_every_region_of_the_sdks_is_accepted_in_its_partition(region: str) -> None:
    config = Config.from_environ(ENVIRON | {"PODROLE_REGION": region})

    assert (config.region, config.partition) == (region, REGIONS[region])


def test_suggested_regions_are_those_of_the_sdks() -> None:
    assert {*KNOWN_REGIONS} == {*REGIONS}
    assert len(KNOWN_REGIONS) == len(REGIONS)


@pytest.mark.parametrize(
    "region",
    [
        *("eu-west-4", "me-north-1", "mx-south-1", "af-central-2", "cn-southwest-1", "us-gov-central-1", "il-north-1"),
        *("us-isof-west-1", "eu-isoe-north-1", "eusc-fr-west-1", "sa-northeast-9", "ca-northwest-1", "us-iso-south-1"),
    ],
)
def test_later_region_of_an_area_is_accepted(region: str) -> None:
    config = Config.from_environ(ENVIRON | {"PODROLE_REGION": region})

    assert config.partition == partition_of(region)


@pytest.mark.parametrize("region", ["nz-north-1", "eu-wst-1"])
@pytest.mark.parametrize("endpoint", [VPC_ENDPOINT, STORE])
def test_other_region_is_accepted_with_an_endpoint(region: str, endpoint: str) -> None:
    environ = ENVIRON | {"PODROLE_REGION": region, "PODROLE_STS_ENDPOINT": endpoint}

    assert Config.from_environ(environ).region == region


def test_text_that_is_no_name_is_refused_with_every_endpoint() -> None:
    assert refuse("eu west", VPC_ENDPOINT).endswith("it must be an AWS region, such as eu-west-1")
    assert "any name of letters, digits and -" in refuse("eu west", STORE)


def test_sidecar_accepts_a_region_of_a_later_injector(tmp_path: Path) -> None:
    environ = build_environ(tmp_path, "", PODROLE_REGION="nz-north-1")

    assert SidecarConfig.from_environ(environ).region == "nz-north-1"
