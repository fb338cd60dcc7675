"""The audience of a pod's token: the operator's, or what the ServiceAccount sets, as for IRSA."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

import contract
from injector.config import Config
from injector.decision.outcomes import Deny
from injector.errors import ConfigError
from injector.k8s.objects import Metadata
from injector.value_types import AUDIENCE as AUDIENCE_TYPE
from testing.cases import CONFIG, ENVIRON, Case, load_case

AUDIENCE = "eks.amazonaws.com/audience"
IRSA = {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/reader"}
KOPS = Config.from_environ(ENVIRON | {"PODROLE_AUDIENCE": "amazonaws.com"})


def case_with(annotations: Mapping[str, str], pod: str = "role-on-the-service-account") -> Case:
    return replace(load_case(pod), service_account=Metadata({}, annotations))


def read_audience(case: Case, config: Config = CONFIG) -> str:
    [volume] = [one for one in case.inject(config)["spec"]["volumes"] if one["name"] == contract.TOKEN_VOLUME]
    [source] = volume["projected"]["sources"]
    token: dict[str, Any] = source["serviceAccountToken"]
    assert token == {"audience": token["audience"], "expirationSeconds": 3600, "path": "token"}
    return str(token["audience"])


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("a b", id="space"),
        pytest.param("sts.amazonaws.com\n", id="newline"),
        pytest.param("é", id="not-ascii"),
        pytest.param("a" * 256, id="longer-than-iam-accepts"),
        pytest.param("https://kubernetes.default.svc", id="api-server-of-eks"),
        pytest.param("https://kubernetes.default.svc.cluster.local", id="api-server-of-kubeadm"),
        pytest.param("kubernetes.default.svc/", id="api-server-without-scheme"),
        pytest.param("kubernetes", id="api-server-by-name"),
        pytest.param("kubernetes.svc.default", id="api-server-of-kops"),
        pytest.param("https://kubernetes.default.svc:443", id="api-server-with-port"),
    ],
)
def test_invalid_audience_denies_the_pod_and_is_no_setting(value: str) -> None:
    decision = case_with(IRSA | {AUDIENCE: value}).decide()

    assert isinstance(decision, Deny)
    [explanation] = decision.explanations
    assert explanation.reason.code == "InvalidValue"
    assert explanation.text.startswith(f"annotation {AUDIENCE} of the ServiceAccount is ")
    with pytest.raises(ConfigError, match="PODROLE_AUDIENCE is "):
        Config.from_environ(ENVIRON | {"PODROLE_AUDIENCE": value})


@pytest.mark.parametrize(
    "value",
    [
        "sts.amazonaws.com",
        "amazonaws.com",
        "sts.eu-west-1.amazonaws.com",
        "https://a.example/$x",
        "kubernetes-a",
        "kubernetes.svc",
    ],
)
def test_other_audience_is_valid(value: str) -> None:
    assert AUDIENCE_TYPE.accepts(value)
    assert read_audience(case_with(IRSA | {AUDIENCE: value})) == value


@pytest.mark.parametrize(
    ("annotations", "config", "audience"),
    [
        pytest.param({}, CONFIG, "sts.amazonaws.com", id="default"),
        pytest.param({}, KOPS, "amazonaws.com", id="operator"),
        pytest.param({AUDIENCE: "vault"}, CONFIG, "vault", id="service-account"),
        pytest.param({AUDIENCE: "vault"}, KOPS, "vault", id="service-account-before-operator"),
        pytest.param({AUDIENCE: ""}, CONFIG, "sts.amazonaws.com", id="empty"),
        pytest.param({AUDIENCE: ""}, KOPS, "amazonaws.com", id="empty-with-operator"),
    ],
)
@pytest.mark.parametrize("pod", ["role-on-the-service-account", "role-on-the-pod", "host-ipc"])
def test_token_has_the_audience_of_service_account_or_operator(
    annotations: dict[str, str], config: Config, audience: str, pod: str
) -> None:
    assert read_audience(case_with(IRSA | annotations, pod), config) == audience


def test_audience_of_one_pod_does_not_change_the_next_one() -> None:
    assert read_audience(case_with(IRSA | {AUDIENCE: "vault"})) == "vault"
    assert read_audience(case_with(IRSA)) == "sts.amazonaws.com"


def test_second_injection_changes_no_audience() -> None:
    case = case_with(IRSA | {AUDIENCE: "vault"})

    again = replace(case, pod=case.inject())

    assert read_audience(again) == "vault"
    assert again.inject() == case.inject()


def test_blocked_pod_has_a_token_for_the_operators_audience() -> None:
    assert read_audience(load_case("no-role"), KOPS) == "amazonaws.com"
