import copy
import json
from collections.abc import Iterable
from typing import Any

import jsonpatch
import pytest

import contract
from injector.patch.json_patch import build_pointer
from testing.cases import (
    CONFIG,
    ENABLED,
    UNANNOTATED,
    Case,
    Pod,
    add_api_defaults,
    build_case,
    find_container,
    load_case,
    load_injectable_cases,
    load_review,
)

CASES = load_injectable_cases()
WRITTEN = {"podrole.io/status", "podrole.io/mode", "podrole.io/version"}


def without_ours(pod: Pod) -> Pod:
    """The pod without everything that podrole adds: what an injection must not change."""
    pod = copy.deepcopy(pod)
    for field in ("initContainers", "containers", "volumes"):
        pod["spec"][field] = not_reserved(pod["spec"].get(field))
    for container in [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]:
        container["volumeMounts"] = not_reserved(container.get("volumeMounts"))
        added = {"PODROLE_POD_UID", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_REGION", "AWS_DEFAULT_REGION"}
        container["env"] = [variable for variable in container.get("env") or [] if variable["name"] not in added]
    metadata = pod["metadata"] = pod.get("metadata") or {}
    for field in ("annotations", "labels"):
        metadata[field] = {k: v for k, v in (metadata.get(field) or {}).items() if k not in WRITTEN}
    return pod


def not_reserved(things: Iterable[dict[str, Any]] | None) -> list[dict[str, Any]]:
    return [thing for thing in things or [] if not thing["name"].startswith("podrole-")]


LABELS = [
    pytest.param(None, id="null"),
    pytest.param({}, id="empty"),
    pytest.param({"app": "shop", "a~b/c": ""}, id="other-labels"),
    pytest.param({"podrole.io/mode": "env", "podrole.io/version": "9"}, id="written-by-its-author"),
    pytest.param({"podrole.io/mode": ""}, id="without-a-value"),
]


@pytest.mark.parametrize("name", CASES)
def test_second_injection_changes_nothing(name: str) -> None:
    case = CASES[name]

    again, _ = case.with_pod(case.inject()).build_patch()

    assert again.patch == []


@pytest.mark.parametrize("name", CASES)
def test_second_injection_after_api_server_defaults_changes_nothing(name: str) -> None:
    case = CASES[name]

    again, _ = case.with_pod(add_api_defaults(case.inject())).build_patch()

    assert again.patch == []


@pytest.mark.parametrize("name", CASES)
def test_array_with_elements_is_never_replaced(name: str) -> None:
    patch, _ = CASES[name].build_patch()

    for operation in patch.patch:
        assert operation["op"] != "replace" or not isinstance(operation["value"], list)
        if isinstance(operation.get("value"), list):
            assert not jsonpatch.JsonPointer(operation["path"]).resolve(CASES[name].pod, default=None)


def test_second_injection_after_service_account_admission_changes_nothing() -> None:
    """ServiceAccount admission runs again after the first call and mounts the API token wherever its path is free."""
    pod = load_review("pod-create-generate-name-reinvocation")["request"]["object"]
    pod["metadata"]["annotations"] = {"iam.amazonaws.com/role": "reader"}
    case = Case(pod, ENABLED, UNANNOTATED)
    first = add_api_defaults(case.inject())
    api_token = next(volume["name"] for volume in pod["spec"]["volumes"] if "kube-api" in volume["name"])
    mount = {"name": api_token, "readOnly": True, "mountPath": contract.TOKEN_DIRECTORY}
    for container in [*first["spec"]["initContainers"], *first["spec"]["containers"]]:
        if all(m["mountPath"] != contract.TOKEN_DIRECTORY for m in container.get("volumeMounts") or []):
            container.setdefault("volumeMounts", []).append(mount)

    again, _ = case.with_pod(first).build_patch()

    assert again.patch == []
    assert api_token not in json.dumps(first["spec"]["initContainers"][:2])


def test_containers_and_volumes_with_reserved_names_are_replaced() -> None:
    clean = build_case(
        initContainers=[
            {"name": "first", "image": "example/app:1"},
            {"name": "last", "image": "example/app:1", "env": [{"name": "LAST", "value": "1"}]},
        ],
        containers=[
            {"name": "app", "image": "example/app:1", "volumeMounts": [{"name": "rules", "mountPath": "/rules"}]}
        ],
        volumes=[{"name": "rules", "emptyDir": {}}],
    )

    assert load_case("forged").inject()["spec"] == clean.inject()["spec"]


@pytest.mark.parametrize(
    "change",
    [
        {"image": "example/evil:1"},
        {"command": ["true"]},
        {"args": ["--help"]},
        {"env": []},
        {"envFrom": [{"configMapRef": {"name": "x"}}]},
        {"volumeMounts": []},
        {"securityContext": {"privileged": True}},
        {"lifecycle": {"postStart": {"exec": {"command": ["true"]}}}},
        {"ports": [{"containerPort": 80}]},
        {"livenessProbe": {"exec": {"command": ["false"]}}},
        {"workingDir": "/tmp"},
        {"restartPolicy": "Never"},
        {"fieldOfTomorrow": 1},
    ],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("position", [0, 1], ids=["redirect", "sidecar"])
def test_modified_container_of_podrole_is_restored(position: int, change: dict[str, Any]) -> None:
    case = build_case()
    injected = case.inject()
    forged = copy.deepcopy(injected)
    container = forged["spec"]["initContainers"][position]
    if "env" in change and position == 0:
        change = {"env": [{"name": "LD_PRELOAD", "value": "/x.so"}]}
    container.update(change)

    repaired = case.with_pod(forged).inject()

    assert repaired == injected


def test_variable_or_mount_added_to_podroles_containers_is_removed() -> None:
    case = build_case()
    injected = case.inject()
    forged = copy.deepcopy(injected)
    for container in forged["spec"]["initContainers"]:
        container.setdefault("env", []).append({"name": "LD_PRELOAD", "value": "/x.so"})
        container["volumeMounts"].append({"name": "rules", "mountPath": "/etc/podrole"})

    assert case.with_pod(forged).inject() == injected


def test_podroles_containers_in_wrong_order_are_reordered() -> None:
    case = load_case("init-containers")
    injected = case.inject()
    shuffled = copy.deepcopy(injected)
    shuffled["spec"]["initContainers"].reverse()

    names = [container["name"] for container in case.with_pod(shuffled).inject()["spec"]["initContainers"]]

    assert names == ["podrole-redirect", "podrole-sidecar", "migrate", "log-shipper"]


def test_new_sidecar_image_replaces_the_old_one() -> None:
    case = load_case("init-containers")

    upgraded = case.with_pod(case.inject()).inject(CONFIG._replace(sidecar_image="example/podrole-sidecar:2"))

    assert [c["image"] for c in upgraded["spec"]["initContainers"][:2]] == ["example/podrole-sidecar:2"] * 2
    assert len(upgraded["spec"]["initContainers"]) == 4


def test_resources_set_by_other_webhooks_are_kept() -> None:
    case = build_case()
    tuned = case.inject()
    tuned["spec"]["initContainers"][1]["resources"] = {"requests": {"cpu": "1"}}

    patch, _ = case.with_pod(tuned).build_patch()

    assert patch.patch == []


def test_pod_that_lost_its_role_loses_its_sidecar() -> None:
    case = build_case()
    injected = case.inject()
    del injected["metadata"]["annotations"]["iam.amazonaws.com/role"]

    blocked = case.with_pod(injected).inject()

    assert [container["name"] for container in blocked["spec"]["initContainers"]] == ["podrole-redirect"]
    assert blocked["spec"]["initContainers"][0]["command"] == ["nft", "-f", contract.BLOCK_RULES]


def test_null_counts_as_empty_list() -> None:
    pod = load_case("null-lists").inject()

    assert [container["name"] for container in pod["spec"]["initContainers"]] == ["podrole-redirect", "podrole-sidecar"]
    assert [volume["name"] for volume in pod["spec"]["volumes"]] == ["podrole-token"]
    assert len(find_container(pod, "app")["env"]) == 4
    assert list(pod["metadata"]["annotations"]) == ["podrole.io/status"]
    assert pod["metadata"]["labels"] == {"podrole.io/mode": "redirect", "podrole.io/version": contract.VERSION}


@pytest.mark.parametrize("labels", LABELS)
def test_labels_are_set_and_the_others_kept(labels: dict[str, str] | None) -> None:
    case = build_case()
    case.pod["metadata"]["labels"] = labels

    patch, _ = case.build_patch()

    ours = {"podrole.io/mode": "redirect", "podrole.io/version": contract.VERSION}
    assert patch.apply(case.pod)["metadata"]["labels"] == {**(labels or {}), **ours}
    assert all("labels" not in one["path"] or one["op"] == "add" for one in patch.patch)


def test_labels_that_are_right_are_not_in_the_patch() -> None:
    case = build_case()
    injected = case.inject()
    del injected["metadata"]["labels"]["podrole.io/version"]

    patch, _ = case.with_pod(injected).build_patch()

    assert patch.patch == [{"op": "add", "path": "/metadata/labels/podrole.io~1version", "value": contract.VERSION}]


def test_injected_pods_share_no_labels() -> None:
    case = build_case()
    case.inject()["metadata"]["labels"]["podrole.io/mode"] = "changed"

    assert case.inject()["metadata"]["labels"]["podrole.io/mode"] == "redirect"


def test_pod_without_containers_is_patched() -> None:
    pod = load_case("null-containers").inject()

    assert pod["spec"]["containers"] is None
    assert len(pod["spec"]["initContainers"]) == 2


def test_unknown_fields_are_kept() -> None:
    case = load_case("unknown-fields")

    patched = case.inject()

    assert without_ours(patched) == without_ours(case.pod)
    assert patched["spec"]["futureField"] == {"a/b": {"c~d": None}}
    assert patched["metadata"]["annotations"]["example.com/a~b"] == "tilde and slash"


def test_pointer_escapes_tilde_before_slash() -> None:
    assert build_pointer(("metadata", "annotations", "a~1/b")) == "/metadata/annotations/a~01~1b"


def test_pod_with_250_containers_is_injected() -> None:
    case = build_case(containers=[{"name": f"app-{number}", "env": [{"name": "A"}]} for number in range(250)])

    pod = case.inject()

    assert all(len(container["env"]) == 5 for container in pod["spec"]["containers"])
