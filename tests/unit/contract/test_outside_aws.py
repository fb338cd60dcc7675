"""Regions and ARNs of stores outside AWS: accepted by injector, sidecar and command, if STS is not AWS's."""

from pathlib import Path
from typing import Any

import pytest

from contract.outside_aws import AWS_DOMAINS, account_of, is_outside_aws
from contract.settings import find_problems
from injector.config import Config
from injector.decision.outcomes import Deny, Inject
from injector.errors import ConfigError
from injector.k8s.objects import Metadata
from sidecar.config import Config as SidecarConfig
from sidecar.sts.endpoints import DOMAINS, OTHER_DOMAINS, find_sts_url
from testing.cases import ENABLED, ENVIRON, UNANNOTATED, Case, environment_of, find_container
from testing.sidecars import build_environ
from tests.unit.contract.test_contract import resolve

STORE = "https://store.example.com/sts/tenant-a"
ROLES = {
    "ceph-without-account": "arn:aws:iam:::role/x",
    "ceph-with-path": "arn:aws:iam:::role/application_abc/component_xyz/S3Access",
    "ceph-with-account": "arn:aws:iam::RGW00889737169837717:role/x",
    "ceph-with-tenant": "arn:aws:iam::tenant-a:role/x",
    "minio": "arn:minio:iam:::role/nOybJqMNzNmroqEKq5D0EUsRZw0",
    "seaweedfs": "arn:aws:iam::role/S3AdminRole",
    "twenty-digits": "arn:aws:iam::12345678901234567890:role/x",
    "another-partition": "arn:aws-cn:iam::111122223333:role/x",
}
REGIONS = ["garage", "fr-par", "auto", "nl-ams", "us-east-1", "sgp1", "RegionOne", "default"]
NEVER = {
    "user": "arn:aws:iam:::user/x",
    "no-name": "arn:aws:iam:::role/",
    "account-with-digits-missing": "arn:aws:iam::11112222333:role/x",
    "account-with-slash": "arn:aws:iam::a/b:role/x",
    "region": "arn:aws:iam:garage::role/x",
    "another-service": "arn:aws:sts:::role/x",
    "space": "arn:aws:iam:::role/a b",
    "newline": "arn:aws:iam:::role/x\n",
    "long-account": f"arn:aws:iam::{'a' * 65}:role/x",
}


def decide(role: str, **settings: str) -> Any:
    config = Config.from_environ(ENVIRON | settings)
    metadata = {"name": "app", "namespace": "team-a", "annotations": {"iam.amazonaws.com/role": role}}
    pod = {"metadata": metadata, "spec": {"containers": [{"name": "app", "image": "a:1"}]}}
    return Case(pod, ENABLED, UNANNOTATED).decide(config)


def refuse(**environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        Config.from_environ(ENVIRON | environ)
    return str(caught.value)


@pytest.mark.parametrize("role", NEVER.values(), ids=NEVER)
def test_malformed_role_is_denied_also_outside_aws(role: str) -> None:
    assert isinstance(decide(role, PODROLE_STS_ENDPOINT=STORE), Deny)
    sidecar = build_environ(Path("/"), STORE, PODROLE_ROLE_ARN=role)
    assert [one[:19] for one in find_problems(SidecarConfig, sidecar)] == ["PODROLE_ROLE_ARN is"]


@pytest.mark.parametrize("region", ["", "a_b", "-a", "a-", "a.b", "123", "a" * 64, "é", "a\n"])
def test_malformed_region_is_refused_also_outside_aws(region: str) -> None:
    assert "PODROLE_REGION is " in refuse(PODROLE_REGION=region, PODROLE_STS_ENDPOINT=STORE)


@pytest.mark.parametrize("role", ROLES.values(), ids=ROLES)
def test_role_of_a_store_is_accepted_with_its_endpoint_only(role: str) -> None:
    inside, outside = decide(role), decide(role, PODROLE_STS_ENDPOINT=STORE)

    assert isinstance(inside, Deny)
    assert isinstance(outside, Inject)
    assert outside.role_arn == role


def test_denial_within_aws_says_what_other_forms_need() -> None:
    [explanation] = decide(ROLES["ceph-without-account"]).explanations

    assert "other forms need a PODROLE_STS_ENDPOINT outside AWS" in explanation.text


@pytest.mark.parametrize(
    "endpoint", ["", "https://vpce-1-2.sts.eu-west-1.vpce.amazonaws.com", "https://sts.eu-west-1.api.aws/"]
)
@pytest.mark.parametrize("region", ["garage", "fr-par", "auto"])
def test_region_of_a_store_is_refused_with_an_endpoint_of_aws(endpoint: str, region: str) -> None:
    message = refuse(PODROLE_REGION=region, PODROLE_STS_ENDPOINT=endpoint)

    assert f"PODROLE_REGION is {region!r}: it must be an AWS region, such as eu-west-1" in message
    assert isinstance(decide(ROLES["minio"], PODROLE_STS_ENDPOINT=endpoint), Deny)


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("role", ROLES.values(), ids=ROLES)
def test_sidecar_gets_role_region_and_path_of_a_store(role: str, region: str) -> None:
    config = Config.from_environ(ENVIRON | {"PODROLE_REGION": region, "PODROLE_STS_ENDPOINT": STORE})
    metadata = {"name": "app", "namespace": "team-a", "annotations": {"iam.amazonaws.com/role": role}}
    pod = {"metadata": metadata, "spec": {"containers": [{"name": "app", "image": "a:1"}]}}

    injected = Case(pod, ENABLED, UNANNOTATED).inject(config)

    got = SidecarConfig.from_environ(resolve(environment_of(find_container(injected, "podrole-sidecar"))))
    assert (got.role_arn, got.region, find_sts_url(got)) == (role, region, STORE)


@pytest.mark.parametrize(
    ("settings", "role"),
    [
        pytest.param({"PODROLE_BASE_ROLE_ARN": "arn:aws:iam:::role/"}, "arn:aws:iam:::role/x", id="no-account"),
        pytest.param({"PODROLE_BASE_ROLE_ARN": "arn:minio:iam:::role/"}, "arn:minio:iam:::role/x", id="minio"),
        pytest.param({"PODROLE_ACCOUNT_ID": "RGW00889737169837717"}, ROLES["ceph-with-account"], id="account"),
    ],
)
def test_name_of_a_role_resolves_to_the_stores_form(settings: dict[str, str], role: str) -> None:
    environ = {"PODROLE_ACCOUNT_ID": "", **settings}

    assert decide("x", PODROLE_STS_ENDPOINT=STORE, **environ).role_arn == role
    assert next(iter(settings)) in refuse(**environ)


def test_intermediate_role_of_a_store_is_accepted() -> None:
    config = Config.from_environ(ENVIRON | {"PODROLE_STS_ENDPOINT": STORE})
    pod = {
        "metadata": {"annotations": {"iam.amazonaws.com/role": ROLES["ceph-with-tenant"]}},
        "spec": {"containers": []},
    }
    namespace = Metadata(ENABLED.labels, {"podrole.io/intermediate-role": ROLES["ceph-without-account"]})

    decision = Case(pod, namespace, UNANNOTATED).decide(config)

    assert isinstance(decision, Inject)
    assert decision.settings.intermediate_role == ROLES["ceph-without-account"]


@pytest.mark.parametrize(
    ("role", "account"),
    [
        pytest.param(ROLES["ceph-without-account"], "", id="empty"),
        pytest.param(ROLES["seaweedfs"], "", id="none"),
        pytest.param("arn:aws:iam::role/a:b/x", "", id="none-with-a-colon-in-the-path"),
        pytest.param(ROLES["ceph-with-account"], "RGW00889737169837717", id="ceph"),
        pytest.param("arn:aws:iam::111122223333:role/x", "111122223333", id="aws"),
    ],
)
def test_account_is_what_the_arn_has_there(role: str, account: str) -> None:
    assert account_of(role) == account


@pytest.mark.parametrize(
    ("endpoint", "is_outside"),
    [
        pytest.param(None, False, id="none"),
        pytest.param("", False, id="empty"),
        pytest.param("sts.example.com", False, id="no-scheme"),
        pytest.param("https://STS.eu-west-1.AMAZONAWS.com:443/", False, id="upper-case"),
        pytest.param("https://sts.cn-north-1.amazonaws.com.cn", False, id="china"),
        pytest.param("https://store.example.com", True, id="store"),
        pytest.param("http://10.0.0.1:8333", True, id="address"),
        pytest.param("http://[fd00::1]:8333/sts", True, id="ipv6"),
        pytest.param("https://myamazonaws.com", True, id="similar-name"),
        pytest.param("https://amazonaws.com.example.com", True, id="prefix"),
        pytest.param("https://example.com/sts.amazonaws.com", True, id="path"),
    ],
)
def test_endpoint_outside_aws_is_told_by_its_name(endpoint: str | None, *, is_outside: bool) -> None:
    assert is_outside_aws(endpoint) is is_outside


def test_domains_of_aws_are_those_of_the_endpoints() -> None:
    assert set(AWS_DOMAINS) == {domain for domains in (*DOMAINS.values(), OTHER_DOMAINS) for domain in domains}
