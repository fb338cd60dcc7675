"""Env mode: a role without a redirect, for places where NET_ADMIN is refused."""

import json

import pytest

from contract.modes import Mode
from injector.config import Config
from injector.decision.outcomes import Deny, Inject
from injector.errors import ConfigError
from injector.patch.pod_uid import CREDENTIALS_PATH
from injector.value_types import ModePolicy, OverrideName
from testing.cases import CONFIG, ENVIRON, build_case, environment_of, find_container, load_case

ENV_MODE = CONFIG._replace(mode=ModePolicy.ENV)
FULL_URI = "http://127.0.0.1:16925/v2/credentials/$(PODROLE_POD_UID)"


@pytest.mark.parametrize("name", ["pod-security-baseline", "pod-security-restricted"])
def test_pod_security_level_that_forbids_the_redirect_gives_env_mode(name: str) -> None:
    case = load_case(name)

    pod = case.inject()
    _, warnings = case.build_patch()

    assert [container["name"] for container in pod["spec"]["initContainers"]] == ["podrole-sidecar"]
    assert environment_of(pod["spec"]["initContainers"][0])["PODROLE_MODE"] == Mode.ENV
    assert json.loads(pod["metadata"]["annotations"]["podrole.io/status"])["mode"] == "env"
    assert len(warnings) == 1
    assert "169.254.169.254 still gives the node's role" in warnings[0]
    assert f"PodSecurity {name.removeprefix('pod-security-')} of the namespace" in warnings[0]


def test_env_mode_meets_pod_security_restricted() -> None:
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


def test_operator_can_configure_env_mode_for_all_pods() -> None:
    pod = load_case("init-containers").inject(ENV_MODE)

    names = [container["name"] for container in pod["spec"]["initContainers"]]
    assert names[0] == "podrole-sidecar"
    assert "podrole-redirect" not in names


def test_env_mode_sets_loopback_urls_for_ecs_and_imds() -> None:
    pod = load_case("role-on-the-pod").inject(ENV_MODE)

    assert environment_of(find_container(pod, "app")) == {
        "PODROLE_POD_UID": {"fieldRef": {"fieldPath": "metadata.uid"}},
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": FULL_URI,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:16925/",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }


def test_metadata_endpoint_of_the_user_is_kept_with_a_warning() -> None:
    variable = {"name": "AWS_EC2_METADATA_SERVICE_ENDPOINT", "value": "http://metadata.example"}
    case = build_case(containers=[{"name": "app", "env": [variable]}])

    pod = case.inject(ENV_MODE)
    _, warnings = case.build_patch(ENV_MODE)

    assert environment_of(find_container(pod, "app"))[variable["name"]] == "http://metadata.example"
    assert any(f'"app" sets {variable["name"]}' in warning for warning in warnings)


def test_ipv6_only_uses_a_loopback_uri_and_the_redirect() -> None:
    config = CONFIG._replace(ipv6_only=True)

    pod = load_case("role-on-the-pod").inject(config)

    variables = environment_of(find_container(pod, "app"))
    assert variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == FULL_URI
    assert "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" not in variables
    assert pod["spec"]["initContainers"][0]["name"] == "podrole-redirect"
    assert environment_of(pod["spec"]["initContainers"][1])["PODROLE_SERVE_LOOPBACK"] == "true"


@pytest.mark.parametrize("config", [CONFIG, ENV_MODE], ids=["redirect", "env"])
def test_sidecar_of_a_cluster_with_ipv4_gets_no_serve_loopback(config: Config) -> None:
    pod = load_case("role-on-the-pod").inject(config)

    assert "PODROLE_SERVE_LOOPBACK" not in environment_of(find_container(pod, "podrole-sidecar"))


def test_change_of_mode_replaces_the_variables_that_podrole_added() -> None:
    case = load_case("role-on-the-pod")
    redirected = case.with_pod(case.inject())

    pod = redirected.inject(ENV_MODE)

    variables = environment_of(find_container(pod, "app"))
    assert variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"].endswith(CREDENTIALS_PATH)
    assert "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" not in variables
    assert [container["name"] for container in pod["spec"]["initContainers"]] == ["podrole-sidecar"]


def test_env_mode_annotation_works_only_if_the_override_is_allowed() -> None:
    case = load_case("asks-for-env-mode")

    allowed = case.decide(CONFIG._replace(allow_overrides=frozenset({OverrideName.MODE})))

    assert isinstance(case.decide(), Deny)
    assert isinstance(allowed, Inject)
    assert allowed.mode == Mode.ENV
    assert "(podrole.io/mode: env)" in allowed.warnings[0].text


def test_env_mode_does_not_warn_about_privileged_containers() -> None:
    decision = load_case("powerful-containers").decide(ENV_MODE)

    assert isinstance(decision, Inject)
    assert [warning.reason.code for warning in decision.warnings] == ["EnvMode"]


GVISOR = CONFIG._replace(env_runtime_classes=("gvisor", "kata-qemu"))
FARGATE = {"schedulerName": "fargate-scheduler"}


@pytest.mark.parametrize(
    ("spec", "config", "why"),
    [
        pytest.param(FARGATE, CONFIG, "Fargate forbids the redirect", id="fargate"),
        pytest.param({"runtimeClassName": "gvisor"}, GVISOR, "the pod's RuntimeClass gvisor", id="gvisor"),
        pytest.param({"runtimeClassName": "kata-qemu"}, GVISOR, "the pod's RuntimeClass kata-qemu", id="kata"),
    ],
)
def test_pod_whose_fields_forbid_the_redirect_gets_env_mode(spec: dict[str, str], config: Config, why: str) -> None:
    case = build_case(**spec)

    decision = case.decide(config)

    assert isinstance(decision, Inject)
    assert decision.mode == Mode.ENV
    assert why in decision.warnings[0].text
    assert [one["name"] for one in case.inject(config)["spec"]["initContainers"]] == ["podrole-sidecar"]


@pytest.mark.parametrize(
    ("spec", "labels", "config"),
    [
        pytest.param({"nodeName": "n1", **FARGATE}, {}, CONFIG, id="names-its-node"),
        pytest.param({}, {"eks.amazonaws.com/fargate-profile": "x"}, CONFIG, id="label-alone"),
        pytest.param(FARGATE, {}, CONFIG._replace(mode=ModePolicy.REDIRECT), id="operator-wants-redirect"),
        pytest.param({"runtimeClassName": "gvisor"}, {}, CONFIG, id="class-that-is-not-listed"),
        pytest.param({"runtimeClassName": ""}, {}, GVISOR, id="empty-class"),
        pytest.param({"runtimeClassName": "kata"}, {}, GVISOR, id="another-class"),
    ],
)
def test_pod_that_names_its_node_or_only_a_fargate_profile_is_redirected(
    spec: dict[str, str], labels: dict[str, str], config: Config
) -> None:
    case = build_case(**spec)
    case.pod["metadata"]["labels"] = labels

    decision = case.decide(config)

    assert isinstance(decision, Inject)
    assert decision.mode == Mode.REDIRECT


@pytest.mark.parametrize("value", ["gvisor,", "A", "a b", ",".join("abcdefghi")])
def test_invalid_list_of_runtime_classes_is_an_error(value: str) -> None:
    with pytest.raises(ConfigError, match=r"PODROLE_ENV_RUNTIME_CLASSES is .*up to 8 names of RuntimeClasses"):
        Config.from_environ(ENVIRON | {"PODROLE_ENV_RUNTIME_CLASSES": value})
