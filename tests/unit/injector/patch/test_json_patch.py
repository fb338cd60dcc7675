import copy
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import jsonpatch
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import contract
from injector.patch.json_patch import build_pointer
from tests.unit.injector.cases import (
    CONFIG,
    ENABLED,
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


def without_ours(pod: Pod) -> Pod:
    """The pod without everything that podrole owns or adds: what must survive an injection unchanged."""
    pod = copy.deepcopy(pod)
    for field in ("initContainers", "containers", "volumes"):
        pod["spec"][field] = not_reserved(pod["spec"].get(field))
    for container in [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]:
        container["volumeMounts"] = not_reserved(container.get("volumeMounts"))
        added = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_REGION", "AWS_DEFAULT_REGION"}
        container["env"] = [variable for variable in container.get("env") or [] if variable["name"] not in added]
    metadata = pod["metadata"] = pod.get("metadata") or {}
    metadata["annotations"] = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != "podrole.io/status"}
    return pod


def not_reserved(things: Iterable[dict[str, Any]] | None) -> list[dict[str, Any]]:
    return [thing for thing in things or [] if not thing["name"].startswith("podrole-")]


@pytest.mark.parametrize("name", CASES)
def test_injecting_twice_changes_nothing(name: str) -> None:
    case = CASES[name]

    again, _ = case.with_pod(case.inject()).build_patch()

    assert again.patch == []


@pytest.mark.parametrize("name", CASES)
def test_injecting_again_after_the_api_servers_defaults_changes_nothing(name: str) -> None:
    case = CASES[name]

    again, _ = case.with_pod(add_api_defaults(case.inject())).build_patch()

    assert again.patch == []


@pytest.mark.parametrize("name", CASES)
def test_every_array_that_has_elements_is_kept(name: str) -> None:
    patch, _ = CASES[name].build_patch()

    for operation in patch.patch:
        assert operation["op"] != "replace" or not isinstance(operation["value"], list)
        if isinstance(operation.get("value"), list):
            assert not jsonpatch.JsonPointer(operation["path"]).resolve(CASES[name].pod, default=None)


def test_a_recorded_pod_with_a_mount_for_each_container_can_be_injected_twice() -> None:
    """ServiceAccount admission runs again after the first call and mounts the API token where its path is free."""
    pod = load_review("pod-create-generate-name-reinvocation")["request"]["object"]
    pod["metadata"]["annotations"] = {"iam.amazonaws.com/role": "reader"}
    case = Case(pod, ENABLED, None)
    first = add_api_defaults(case.inject())
    api_token = next(volume["name"] for volume in pod["spec"]["volumes"] if "kube-api" in volume["name"])
    mount = {"name": api_token, "readOnly": True, "mountPath": contract.TOKEN_DIRECTORY}
    for container in [*first["spec"]["initContainers"], *first["spec"]["containers"]]:
        if all(m["mountPath"] != contract.TOKEN_DIRECTORY for m in container.get("volumeMounts") or []):
            container.setdefault("volumeMounts", []).append(mount)

    again, _ = case.with_pod(first).build_patch()

    assert again.patch == []
    assert api_token not in json.dumps(first["spec"]["initContainers"][:2])


def test_what_a_user_wrote_under_our_names_is_rebuilt() -> None:
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
@pytest.mark.parametrize("position", [0, 1])
def test_a_container_of_ours_that_differs_is_rebuilt(position: int, change: dict[str, Any]) -> None:
    case = build_case()
    injected = case.inject()
    forged = copy.deepcopy(injected)
    container = forged["spec"]["initContainers"][position]
    if "env" in change and position == 0:
        change = {"env": [{"name": "LD_PRELOAD", "value": "/x.so"}]}
    container.update(change)

    repaired = case.with_pod(forged).inject()

    assert repaired == injected


def test_an_added_variable_or_mount_in_ours_is_taken_out_again() -> None:
    case = build_case()
    injected = case.inject()
    forged = copy.deepcopy(injected)
    for container in forged["spec"]["initContainers"]:
        container.setdefault("env", []).append({"name": "LD_PRELOAD", "value": "/x.so"})
        container["volumeMounts"].append({"name": "rules", "mountPath": "/etc/podrole"})

    assert case.with_pod(forged).inject() == injected


def test_ours_in_the_wrong_order_are_put_right() -> None:
    case = load_case("init-containers")
    injected = case.inject()
    shuffled = copy.deepcopy(injected)
    shuffled["spec"]["initContainers"].reverse()

    names = [container["name"] for container in case.with_pod(shuffled).inject()["spec"]["initContainers"]]

    assert names == ["podrole-redirect", "podrole-sidecar", "migrate", "log-shipper"]


def test_another_image_replaces_the_old_one() -> None:
    case = load_case("init-containers")

    upgraded = case.with_pod(case.inject()).inject(replace(CONFIG, sidecar_image="example/podrole-sidecar:2"))

    assert [c["image"] for c in upgraded["spec"]["initContainers"][:2]] == ["example/podrole-sidecar:2"] * 2
    assert len(upgraded["spec"]["initContainers"]) == 4


def test_resources_that_others_tuned_are_not_taken_back() -> None:
    case = build_case()
    tuned = case.inject()
    tuned["spec"]["initContainers"][1]["resources"] = {"requests": {"cpu": "1"}}

    patch, _ = case.with_pod(tuned).build_patch()

    assert patch.patch == []


def test_a_pod_that_lost_its_role_keeps_no_sidecar() -> None:
    case = build_case()
    injected = case.inject()
    del injected["metadata"]["annotations"]["iam.amazonaws.com/role"]

    blocked = case.with_pod(injected).inject()

    assert [container["name"] for container in blocked["spec"]["initContainers"]] == ["podrole-redirect"]
    assert blocked["spec"]["initContainers"][0]["command"] == ["nft", "-f", contract.BLOCK_RULES]


def test_null_where_a_list_belongs_is_an_empty_list() -> None:
    pod = load_case("null-lists").inject()

    assert [container["name"] for container in pod["spec"]["initContainers"]] == ["podrole-redirect", "podrole-sidecar"]
    assert [volume["name"] for volume in pod["spec"]["volumes"]] == ["podrole-token"]
    assert len(find_container(pod, "app")["env"]) == 3
    assert list(pod["metadata"]["annotations"]) == ["podrole.io/status"]
    assert pod["metadata"]["labels"] is None


def test_a_pod_without_containers_is_patched_all_the_same() -> None:
    pod = load_case("null-containers").inject()

    assert pod["spec"]["containers"] is None
    assert len(pod["spec"]["initContainers"]) == 2


def test_fields_that_no_one_knows_yet_are_kept() -> None:
    case = load_case("unknown-fields")

    patched = case.inject()

    assert without_ours(patched) == without_ours(case.pod)
    assert patched["spec"]["futureField"] == {"a/b": {"c~d": None}}
    assert patched["metadata"]["annotations"]["example.com/a~b"] == "tilde and slash"


def test_a_pointer_escapes_tilde_before_slash() -> None:
    assert build_pointer(("metadata", "annotations", "a~1/b")) == "/metadata/annotations/a~01~1b"


def test_two_hundred_and_fifty_containers_are_all_served() -> None:
    case = build_case(containers=[{"name": f"app-{number}", "env": [{"name": "A"}]} for number in range(250)])

    pod = case.inject()

    assert all(len(container["env"]) == 4 for container in pod["spec"]["containers"])


NAMES = st.sampled_from(["app", "web", "data", "podrole-sidecar", "podrole-redirect", "podrole-token", "podrole-x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=2) | st.dictionaries(st.text(max_size=5), children, max_size=2),
    max_leaves=4,
)
UNKNOWN = st.dictionaries(st.sampled_from(["futureField", "a/b", "c~d", ""]), JSON, max_size=2)


def listed(element: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(element, max_size=3)


def objects(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    known = st.fixed_dictionaries({"name": NAMES}, optional=fields)
    return st.builds(lambda unknown, thing: {**unknown, **thing}, UNKNOWN, known)


CONTAINERS = objects(
    {
        "env": listed(objects({"value": st.sampled_from(["", "x"])})),
        "volumeMounts": listed(objects({"mountPath": st.just("/data")})),
        "resources": st.none() | st.just({"limits": {"cpu": "1", "memory": "1Gi"}}),
        "securityContext": st.none() | st.just({"runAsUser": 1000}),
    }
)
SPECS = st.fixed_dictionaries(
    {"containers": listed(CONTAINERS)},
    optional={
        "initContainers": listed(CONTAINERS),
        "volumes": listed(objects({"emptyDir": st.just({})})),
        "hostIPC": st.booleans(),
        "futureField": JSON,
    },
)
ANNOTATIONS = st.none() | st.dictionaries(st.sampled_from(["a~b/c", "example.com/x", "podrole.io/status"]), st.text())
PODS = st.fixed_dictionaries(
    {"spec": SPECS},
    optional={"metadata": st.none() | st.fixed_dictionaries({}, optional={"annotations": ANNOTATIONS})},
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pod=PODS, has_role=st.booleans())
def test_any_pod_keeps_all_that_is_not_ours_and_needs_no_second_patch(pod: Pod, has_role: bool) -> None:  # noqa: FBT001 - hypothesis names it
    role = {"podrole.io/default-role": "reader"} if has_role else {}
    pod = json.loads(json.dumps(pod))  # as it arrives: no two places share an object
    case = Case(pod, ENABLED._replace(annotations=role), None)

    patched = case.inject()
    again, _ = case.with_pod(patched).build_patch()

    assert without_ours(patched) == without_ours(pod)
    assert [c["name"] for c in patched["spec"]["initContainers"]][: 1 + has_role] == [
        "podrole-redirect",
        "podrole-sidecar",
    ][: 1 + has_role]
    assert again.patch == []
