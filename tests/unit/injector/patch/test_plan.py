import json
import re
from typing import Any

import pytest

import contract
from contract.modes import Mode
from injector.config import Config
from injector.value_types import ModePolicy, RedirectBackend
from testing.cases import CONFIG, ENVIRON, build_case, environment_of, find_container, load_case

NFT = ["nft", "-D", f"listen={contract.SIDECAR_PORT}", "-f", contract.REDIRECT_RULES]


def names(pod: dict[str, Any], field: str) -> list[str]:
    return [container["name"] for container in pod["spec"][field]]


def memory(container: dict[str, Any], kind: str) -> int:
    return int(container["resources"][kind]["memory"].removesuffix("Mi"))


def test_pod_with_host_ipc_gets_its_own_volume_as_run_directory() -> None:
    pod = load_case("host-ipc").inject()

    sidecar = find_container(pod, "podrole-sidecar")
    mount = next(mount for mount in sidecar["volumeMounts"] if mount["name"] == contract.RUN_VOLUME)
    volume = next(volume for volume in pod["spec"]["volumes"] if volume["name"] == contract.RUN_VOLUME)
    assert environment_of(sidecar)[contract.ENV_RUN_DIRECTORY].startswith(f"{mount['mountPath']}/")
    assert contract.SHARED_MEMORY not in json.dumps(sidecar)
    assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Mi"}
    others = [find_container(pod, "podrole-redirect"), find_container(pod, "app")]
    assert contract.RUN_VOLUME not in json.dumps(others)


def test_podroles_containers_come_before_other_init_containers() -> None:
    pod = load_case("init-containers").inject()

    assert names(pod, "initContainers") == ["podrole-redirect", "podrole-sidecar", "log-shipper", "migrate"]
    assert names(pod, "containers") == ["app", "helper"]


def test_redirect_container_has_one_capability_and_no_variables() -> None:
    redirect = find_container(load_case("role-on-the-pod").inject(), "podrole-redirect")

    assert redirect["image"] == CONFIG.sidecar_image
    assert redirect["command"] == NFT
    assert "args" not in redirect
    assert "env" not in redirect
    assert redirect["securityContext"] == {
        "runAsUser": contract.REDIRECT_UID,
        "runAsGroup": contract.REDIRECT_UID,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert redirect["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_sidecar_container_is_unprivileged_and_has_its_variables() -> None:
    sidecar = find_container(load_case("role-on-the-pod").inject(), "podrole-sidecar")

    assert sidecar["command"] == ["python3", "-m", "sidecar"]
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["lifecycle"]["postStart"]["exec"]["command"] == ["python3", "-I", "-S", contract.POST_START_SCRIPT]
    assert sidecar["resources"] == {"requests": {"cpu": "20m", "memory": "48Mi"}, "limits": {"memory": "96Mi"}}
    assert sidecar["securityContext"]["runAsUser"] == contract.SIDECAR_UID
    assert sidecar["securityContext"]["runAsGroup"] == contract.SIDECAR_UID
    assert sidecar["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert not {"startupProbe", "livenessProbe", "readinessProbe", "ports"} & sidecar.keys()
    assert environment_of(sidecar) == {
        contract.ENV_ROLE_ARN: "arn:aws:iam::111122223333:role/reader",
        contract.ENV_REGION: "eu-west-1",
        contract.ENV_MODE: Mode.REDIRECT,
        contract.ENV_POD_NAMESPACE: {"fieldRef": {"fieldPath": "metadata.namespace"}},
        contract.ENV_POD_NAME: {"fieldRef": {"fieldPath": "metadata.name"}},
        contract.ENV_POD_UID: {"fieldRef": {"fieldPath": "metadata.uid"}},
        contract.ENV_ZONE: {"fieldRef": {"fieldPath": "metadata.labels['topology.kubernetes.io/zone']"}},
        contract.ENV_RUN_DIRECTORY: f"{contract.SHARED_MEMORY}/podrole-$({contract.ENV_POD_UID})",
    }


def test_sidecar_variables_are_defined_before_they_are_expanded() -> None:
    env = find_container(load_case("host-ipc").inject(), "podrole-sidecar")["env"]

    defined: set[str] = set()
    for variable in env:
        assert set(re.findall(r"\$\(([^)]*)\)", variable.get("value", ""))) <= defined
        defined.add(variable["name"])


def test_settings_of_user_and_operator_are_in_the_sidecars_variables() -> None:
    config = CONFIG._replace(sts_endpoint="https://sts.example", sidecar_metrics=True)

    sidecar = environment_of(find_container(load_case("session-settings").inject(config), "podrole-sidecar"))

    assert sidecar[contract.ENV_SESSION_NAME] == "nightly@team-a"
    assert sidecar[contract.ENV_SESSION_DURATION] == "7200"
    assert sidecar[contract.ENV_IMDS_TOKENS] == "required"
    assert sidecar[contract.ENV_STS_ENDPOINT] == "https://sts.example"
    assert sidecar[contract.ENV_METRICS] == "true"


def test_dollar_sign_in_a_role_path_is_escaped() -> None:
    case = build_case()
    case.pod["metadata"]["annotations"]["iam.amazonaws.com/role"] = "$(PODROLE_REGION)/reader"

    value = environment_of(find_container(case.inject(), "podrole-sidecar"))[contract.ENV_ROLE_ARN]

    assert value == "arn:aws:iam::111122223333:role/$$(PODROLE_REGION)/reader"


def test_token_is_mounted_only_in_podroles_containers() -> None:
    pod = load_case("init-containers").inject()

    mount = {"name": contract.TOKEN_VOLUME, "mountPath": contract.TOKEN_DIRECTORY, "readOnly": True}
    for name in ("podrole-redirect", "podrole-sidecar"):
        assert find_container(pod, name)["volumeMounts"] == [mount]
    for name in ("app", "helper", "migrate", "log-shipper"):
        assert "volumeMounts" not in find_container(pod, name)
    token = {"audience": contract.TOKEN_AUDIENCE, "expirationSeconds": 3600, "path": "token"}
    assert pod["spec"]["volumes"] == [
        {"name": contract.TOKEN_VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}}
    ]


def test_blocked_pod_gets_block_rules_and_no_sidecar() -> None:
    pod = load_case("no-role").inject()

    redirect = find_container(pod, "podrole-redirect")
    assert names(pod, "initContainers") == ["podrole-redirect", "migrate"]
    assert redirect["command"] == ["nft", "-f", contract.BLOCK_RULES]
    assert redirect["volumeMounts"][0]["mountPath"] == contract.TOKEN_DIRECTORY
    assert "env" not in find_container(pod, "app")
    assert "env" not in find_container(pod, "migrate")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param("role-on-the-pod", ["--listen", "16925"], id="redirect"),
        pytest.param("no-role", ["--block"], id="block"),
    ],
)
def test_iptables_redirect_runs_as_root_with_two_capabilities(name: str, arguments: list[str]) -> None:
    redirect = find_container(
        load_case(name).inject(CONFIG._replace(redirect_backend=RedirectBackend.IPTABLES)), "podrole-redirect"
    )

    assert redirect["command"] == ["python3", "-m", "sidecar.redirect", *arguments]
    assert redirect["securityContext"] == {
        "runAsUser": 0,
        "runAsGroup": 0,
        "runAsNonRoot": False,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]},
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_guaranteed_pod_stays_guaranteed() -> None:
    pod = load_case("guaranteed").inject()

    for name in ("podrole-redirect", "podrole-sidecar"):
        resources = find_container(pod, name)["resources"]
        assert resources["requests"] == resources["limits"]
        assert set(resources["limits"]) == {"cpu", "memory"}
    assert find_container(pod, "podrole-sidecar")["resources"]["limits"] == {"cpu": "250m", "memory": "96Mi"}


@pytest.mark.parametrize("name", ["guaranteed", "role-on-the-pod"])
def test_redirect_requests_no_more_than_the_sidecar(name: str) -> None:
    pod = load_case(name).inject()

    redirect, sidecar = find_container(pod, "podrole-redirect"), find_container(pod, "podrole-sidecar")
    assert redirect["resources"]["requests"]["cpu"] == sidecar["resources"]["requests"]["cpu"]
    for kind in ("requests", "limits"):
        assert memory(redirect, kind) <= memory(sidecar, kind)


def test_sidecar_of_a_burstable_pod_has_no_cpu_limit() -> None:
    pod = load_case("burstable-init-container").inject()

    assert "cpu" not in find_container(pod, "podrole-sidecar")["resources"]["limits"]


def test_status_has_version_mode_role_and_reason() -> None:
    injected = load_case("role-of-the-namespace").inject()["metadata"]["annotations"]["podrole.io/status"]
    blocked = load_case("no-role").inject()["metadata"]["annotations"]["podrole.io/status"]

    assert json.loads(injected) | {"added": None} == {
        "version": contract.VERSION,
        "mode": "redirect",
        "role": "arn:aws:iam::111122223333:role/everyday",
        "reason": "RoleFromNamespace",
        "added": None,
    }
    assert json.loads(blocked) | {"added": None} == {
        "version": contract.VERSION,
        "mode": "block",
        "role": None,
        "reason": "NoRole",
        "added": None,
    }
    assert " " not in injected


LABEL_VALUE = re.compile(r"(?=.{1,63}$)[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
"""https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set"""


@pytest.mark.parametrize(
    ("name", "config", "mode"),
    [
        pytest.param("role-on-the-pod", CONFIG, "redirect", id="redirect"),
        pytest.param("pod-security-restricted", CONFIG, "env", id="env"),
        pytest.param("no-role", CONFIG, "block", id="block"),
    ],
)
def test_labels_have_mode_and_version_as_the_status_has_them(name: str, config: Config, mode: str) -> None:
    metadata = load_case(name).inject(config)["metadata"]

    status = json.loads(metadata["annotations"]["podrole.io/status"])
    assert (metadata["labels"]["podrole.io/mode"], metadata["labels"]["podrole.io/version"]) == (mode, contract.VERSION)
    assert (status["mode"], status["version"]) == (mode, contract.VERSION)
    assert LABEL_VALUE.fullmatch(mode)
    assert LABEL_VALUE.fullmatch(contract.VERSION)


def test_label_in_place_of_the_annotation_is_replaced_with_a_warning() -> None:
    case = build_case()
    case.pod["metadata"]["labels"] = {"podrole.io/mode": "env"}

    patch, warnings = case.build_patch()
    injected = patch.apply(case.pod)
    _, second = case.with_pod(injected).build_patch()

    assert injected["metadata"]["labels"]["podrole.io/mode"] == "redirect"
    [warning] = warnings
    assert warning.startswith("Label podrole.io/mode of the pod has no effect. ")
    assert warning.endswith(" The annotation podrole.io/mode asks for env mode.")
    assert second == []


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({"podrole.io/mode": "env", "podrole.io/version": "9"}, id="both"),
        pytest.param({"podrole.io/version": ""}, id="one-without-a-value"),
    ],
)
def test_labels_of_a_controllers_template_stay(labels: dict[str, str]) -> None:
    """Its selector can use them."""
    case = build_case()
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "1", "controller": True}
    case.pod["metadata"] |= {"labels": labels, "ownerReferences": [owner]}

    injected = case.inject()
    again, _ = case.with_pod(injected).build_patch()

    ours = {"podrole.io/mode": "redirect", "podrole.io/version": contract.VERSION}
    assert injected["metadata"]["labels"] == ours | labels
    assert again.patch == []


def test_label_of_an_earlier_injection_in_another_mode_causes_no_warning() -> None:
    case = build_case()
    injected = case.inject(CONFIG._replace(mode=ModePolicy.ENV))

    _, warnings = case.with_pod(injected).build_patch()

    assert warnings == []


def test_both_containers_use_the_operators_image() -> None:
    config = Config.from_environ({**ENVIRON, "PODROLE_SIDECAR_IMAGE": "mirror.example/podrole@sha256:ab"})

    pod = load_case("role-on-the-pod").inject(config)

    images = {find_container(pod, name)["image"] for name in ("podrole-redirect", "podrole-sidecar")}
    assert images == {"mirror.example/podrole@sha256:ab"}
