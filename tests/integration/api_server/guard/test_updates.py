"""Updates of injected pods: only images of podrole's containers are protected, everything else passes."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from testing.cases import Pod
from testing.cluster.api import STRATEGIC_MERGE, ApiServer, RefusedError, wait_for
from testing.cluster.pods import build_pod
from tests.integration.api_server.guard.cases import CASES
from tests.integration.api_server.guard.surroundings import MakeNamespace

JSON_PATCH = "application/json-patch+json"
REFUSED = r"podrole-updates.* denied request: \[SidecarImageChanged\] "
EDITOR = "editor"
EDIT = {"apiGroups": [""], "resources": ["pods", "pods/resize"], "verbs": ["*"]}
UPGRADE = {"apiGroups": ["podrole.io"], "resources": ["sidecars"], "verbs": ["upgrade"]}


@pytest.fixture
def namespace(make_namespace: MakeNamespace) -> str:
    return make_namespace()


@pytest.fixture
def editor(guarded: ApiServer, namespace: str) -> Iterator[ApiServer]:
    """A user who can do everything with the pods of the namespace."""
    with bound(guarded, namespace, [EDIT]):
        yield guarded.impersonate(EDITOR)


class bound:  # noqa: N801 - a context manager
    """The user `editor` has these rules in the namespace until the block ends."""

    def __init__(self, api: ApiServer, namespace: str, rules: list[dict[str, Any]]) -> None:
        self._api, self._namespace, self._rules = api, namespace, rules
        self._name = f"{namespace}-{len(rules)}"

    def __enter__(self) -> None:
        group = "rbac.authorization.k8s.io"
        role = {"kind": "ClusterRole", "apiVersion": f"{group}/v1", "metadata": {"name": self._name}}
        self._api.create({**role, "rules": self._rules})
        binding = {"kind": "RoleBinding", "apiVersion": f"{group}/v1", "metadata": {"name": self._name}}
        subjects = [{"kind": "User", "name": EDITOR, "apiGroup": group}]
        reference = {"kind": "ClusterRole", "name": self._name, "apiGroup": group}
        self._api.create({**binding, "subjects": subjects, "roleRef": reference}, self._namespace)

    def __exit__(self, *_: object) -> None:
        self._api.delete("ClusterRole", self._name)


def create(api: ApiServer, namespace: str, **spec: Any) -> Pod:
    """Create a pod as the injector would change it."""
    pod = copy.deepcopy(CASES["role-on-the-pod"].inject())
    pod["metadata"]["namespace"] = namespace
    pod["spec"] |= spec
    created: Pod = api.create(pod, namespace).object
    return created


def await_permission(editor: ApiServer, namespace: str) -> None:
    """A new role takes effect after some milliseconds."""

    def can_list() -> bool:
        try:
            return editor.list("Pod", namespace) is not None
        except RefusedError:
            return False

    wait_for("the editor can list pods", can_list)


def set_image(index: int, image: str = "example/evil:1") -> list[dict[str, Any]]:
    return [{"op": "replace", "path": f"/spec/initContainers/{index}/image", "value": image}]


@pytest.mark.parametrize("index", [0, 1], ids=["redirect", "sidecar"])
def test_image_of_a_gated_pod_cannot_be_patched(
    guarded: ApiServer, editor: ApiServer, namespace: str, index: int
) -> None:
    create(guarded, namespace, schedulingGates=[{"name": "example.com/gate"}])
    await_permission(editor, namespace)

    with pytest.raises(RefusedError, match=REFUSED):
        editor.patch(("Pod", "app"), set_image(index), namespace, how=JSON_PATCH)

    editor.patch(("Pod", "app"), [{"op": "remove", "path": "/spec/schedulingGates"}], namespace, how=JSON_PATCH)
    stored = guarded.read("Pod", "app", namespace)
    assert [c["image"] for c in stored["spec"]["initContainers"]] == ["example/podrole-sidecar:1"] * 2


@pytest.mark.parametrize(
    "rules",
    [
        [{**UPGRADE, "verbs": ["update", "patch"]}, EDIT],
        [{**UPGRADE, "apiGroups": [""]}, EDIT],
        [{**UPGRADE, "resources": ["pods"]}, EDIT],
    ],
    ids=["another-verb", "another-group", "another-resource"],
)
def test_image_cannot_be_patched_with_another_permission(
    guarded: ApiServer, namespace: str, rules: list[dict[str, Any]]
) -> None:
    create(guarded, namespace)
    with bound(guarded, namespace, rules):
        editor = guarded.impersonate(EDITOR)
        await_permission(editor, namespace)

        with pytest.raises(RefusedError, match=REFUSED):
            editor.patch(("Pod", "app"), set_image(1), namespace, how=JSON_PATCH)


def test_image_can_be_patched_with_the_verb_upgrade(
    guarded: ApiServer, make_namespace: MakeNamespace, namespace: str
) -> None:
    elsewhere = make_namespace()
    create(guarded, namespace)
    create(guarded, elsewhere)
    with bound(guarded, namespace, [EDIT, UPGRADE]), bound(guarded, elsewhere, [EDIT]):
        editor = guarded.impersonate(EDITOR)
        await_permission(editor, namespace)
        await_permission(editor, elsewhere)

        image = "example/podrole-sidecar:2"
        editor.patch(("Pod", "app"), set_image(1, image), namespace, how=JSON_PATCH)
        with pytest.raises(RefusedError, match=REFUSED):
            editor.patch(("Pod", "app"), set_image(1, image), elsewhere, how=JSON_PATCH)

    assert guarded.read("Pod", "app", namespace)["spec"]["initContainers"][1]["image"] == image


def test_replaced_pod_cannot_have_another_image(guarded: ApiServer, editor: ApiServer, namespace: str) -> None:
    pod = create(guarded, namespace)
    await_permission(editor, namespace)
    pod["spec"]["initContainers"][0]["image"] = "example/evil:1"

    with pytest.raises(RefusedError, match=REFUSED):
        editor.replace(pod, namespace)


TOLERATION = {"key": "example.com/spot", "operator": "Exists"}
UPDATES: dict[str, dict[str, Any]] = {
    "label": {"metadata": {"labels": {"tier": "front"}}},
    "annotation": {"metadata": {"annotations": {"example.com/a": "b"}}},
    "finalizer": {"metadata": {"finalizers": ["example.com/keep"]}},
    "owner": {
        "metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "1"}]}
    },
    "image-of-the-app": {"spec": {"containers": [{"name": "app", "image": "example/app:2"}]}},
    "toleration": {"spec": {"tolerations": [TOLERATION]}},
    "deadline": {"spec": {"activeDeadlineSeconds": 60}},
}


@pytest.mark.parametrize("change", UPDATES.values(), ids=UPDATES)
def test_other_update_passes(guarded: ApiServer, editor: ApiServer, namespace: str, change: dict[str, Any]) -> None:
    create(guarded, namespace)
    await_permission(editor, namespace)

    editor.patch(("Pod", "app"), change, namespace, how=STRATEGIC_MERGE)

    if "finalizers" in change.get("metadata", {}):
        editor.patch(("Pod", "app"), {"metadata": {"finalizers": None}}, namespace)


def test_node_selector_of_a_gated_pod_can_be_narrowed(guarded: ApiServer, editor: ApiServer, namespace: str) -> None:
    create(guarded, namespace, schedulingGates=[{"name": "example.com/gate"}])
    await_permission(editor, namespace)

    editor.patch(("Pod", "app"), {"spec": {"nodeSelector": {"disk": "ssd"}}}, namespace)


def test_mirror_annotation_can_be_neither_added_nor_removed(
    guarded: ApiServer, editor: ApiServer, namespace: str
) -> None:
    """The guard lets mirror pods pass: the API server keeps other pods from becoming one, and the reverse."""
    create(guarded, namespace)
    mirror = build_pod(name="mirror", nodeName="node")
    mirror["metadata"]["annotations"]["kubernetes.io/config.mirror"] = "1"
    guarded.create(mirror, namespace)
    await_permission(editor, namespace)

    for name, value in (("app", "1"), ("mirror", None)):
        change = {"metadata": {"annotations": {"kubernetes.io/config.mirror": value}}}
        with pytest.raises(RefusedError, match="mirror pod annotation"):
            editor.patch(("Pod", name), change, namespace)


def test_scheduler_kubelet_and_resize_pass(guarded: ApiServer, editor: ApiServer, namespace: str, node: str) -> None:
    create(guarded, namespace)
    await_permission(editor, namespace)
    resources = {"requests": {"cpu": "30m"}}
    for name, field in (("app", "containers"), ("podrole-sidecar", "initContainers")):
        change = {"spec": {field: [{"name": name, "resources": resources}]}}
        editor.patch(("Pod", "app/resize"), change, namespace, how=STRATEGIC_MERGE)
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "app"}}
    guarded.create_under("Pod", "app/binding", {**binding, "target": {"kind": "Node", "name": node}}, namespace)
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}}
    guarded.patch(("Pod", "app/status"), status, namespace, how=STRATEGIC_MERGE)

    stored = guarded.read("Pod", "app", namespace)
    assert (stored["spec"]["nodeName"], stored["status"]["phase"]) == (node, "Running")
    assert stored["spec"]["initContainers"][1]["resources"]["requests"]["cpu"] == "30m"
    guarded.delete("Pod", "app", namespace)
