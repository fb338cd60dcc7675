"""Env mode: a role without a redirect, for places where NET_ADMIN is refused."""

import json
from dataclasses import replace

import pytest

import contract
from contract.modes import Mode
from injector.decision.outcomes import Deny, Inject
from injector.value_types import ModePolicy, OverrideName
from tests.unit.injector.cases import CONFIG, build_case, environment_of, find_container, load_case

ENV_MODE = replace(CONFIG, mode=ModePolicy.ENV)
FULL_URI = "http://127.0.0.1:16925/v2/credentials"


@pytest.mark.parametrize("name", ["pod-security-baseline", "pod-security-restricted"])
def test_where_pod_security_refuses_the_redirect_there_is_only_the_sidecar(name: str) -> None:
    case = load_case(name)

    pod = case.inject()
    _, warnings = case.build_patch()

    assert [container["name"] for container in pod["spec"]["initContainers"]] == ["podrole-sidecar"]
    assert environment_of(pod["spec"]["initContainers"][0])["PODROLE_MODE"] == Mode.ENV
    assert json.loads(pod["metadata"]["annotations"]["podrole.io/status"])["mode"] == "env"
    assert len(warnings) == 1
    assert "169.254.169.254 still gives the node's role" in warnings[0]
    assert f"PodSecurity {name.removeprefix('pod-security-')} of the namespace" in warnings[0]


def test_the_sidecar_alone_meets_pod_security_restricted() -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    sidecar = load_case("pod-security-restricted").inject()["spec"]["initContainers"][0]

    assert sidecar["securityContext"] == {
        "runAsUser": 16925,
        "runAsGroup": 16925,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_the_operator_can_choose_env_mode_for_every_pod() -> None:
    pod = load_case("init-containers").inject(ENV_MODE)

    names = [container["name"] for container in pod["spec"]["initContainers"]]
    assert names[0] == "podrole-sidecar"
    assert "podrole-redirect" not in names


def test_in_env_mode_apps_are_led_to_loopback_by_both_ways() -> None:
    pod = load_case("role-on-the-pod").inject(ENV_MODE)

    assert environment_of(find_container(pod, "app")) == {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": FULL_URI,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:16925/",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }


def test_a_metadata_endpoint_of_the_users_is_kept_and_warned_about() -> None:
    variable = {"name": "AWS_EC2_METADATA_SERVICE_ENDPOINT", "value": "http://metadata.example"}
    case = build_case(containers=[{"name": "app", "env": [variable]}])

    pod = case.inject(ENV_MODE)
    _, warnings = case.build_patch(ENV_MODE)

    assert environment_of(find_container(pod, "app"))[variable["name"]] == "http://metadata.example"
    assert any(f'"app" sets {variable["name"]}' in warning for warning in warnings)


def test_without_ipv4_the_uri_names_loopback_and_the_redirect_stays() -> None:
    config = replace(CONFIG, ipv6_only=True)

    pod = load_case("role-on-the-pod").inject(config)

    variables = environment_of(find_container(pod, "app"))
    assert variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == FULL_URI
    assert "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" not in variables
    assert pod["spec"]["initContainers"][0]["name"] == "podrole-redirect"


def test_a_change_of_mode_replaces_nothing_that_an_app_already_has() -> None:
    case = load_case("role-on-the-pod")
    redirected = case.with_pod(case.inject())

    pod = redirected.inject(ENV_MODE)

    variables = environment_of(find_container(pod, "app"))
    assert variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] == contract.CREDENTIALS_PATH
    assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" not in variables
    assert [container["name"] for container in pod["spec"]["initContainers"]] == ["podrole-sidecar"]


def test_a_pods_wish_for_env_mode_counts_only_where_it_is_allowed() -> None:
    case = load_case("asks-for-env-mode")

    allowed = case.decide(replace(CONFIG, allow_overrides=frozenset({OverrideName.MODE})))

    assert isinstance(case.decide(), Deny)
    assert isinstance(allowed, Inject)
    assert allowed.mode == Mode.ENV
    assert "the pod asks for it" in allowed.warnings[0].text


def test_env_mode_has_no_redirect_that_a_container_could_undo() -> None:
    decision = load_case("powerful-containers").decide(ENV_MODE)

    assert isinstance(decision, Inject)
    assert [warning.reason.code for warning in decision.warnings] == ["EnvMode"]
