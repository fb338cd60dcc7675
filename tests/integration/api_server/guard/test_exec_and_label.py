"""The component guard-exec: commands in podrole's containers, and the label of a namespace."""

import json
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from testing.cluster.api import ApiServer, RefusedError, wait_for
from tests.integration.api_server.guard.surroundings import MakeNamespace
from tests.integration.api_server.guard.test_updates import EDITOR, await_permission, bound, create

RULES = [
    {"apiGroups": [""], "resources": ["pods", "pods/exec", "pods/attach"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["namespaces", "namespaces/status"], "verbs": ["get", "patch"]},
]
NO_NODE = "does not have a host assigned"
"""How the API server answers an admitted command in a pod that no node runs."""


def permit(verb: str) -> dict[str, list[str]]:
    return {"apiGroups": ["podrole.io"], "resources": ["sidecars"], "verbs": [verb]}


@pytest.fixture
def namespace(guarded: ApiServer, make_namespace: MakeNamespace) -> str:
    namespace = make_namespace()
    create(guarded, namespace)
    return namespace


@pytest.fixture
def editor(guarded: ApiServer, namespace: str) -> Iterator[ApiServer]:
    with bound(guarded, namespace, RULES):
        editor = guarded.impersonate(EDITOR)
        await_permission(editor, namespace)
        yield editor


def run(api: ApiServer, namespace: str, how: str, container: str) -> str:
    """Run a command in a container; return the API server's answer."""
    query = urlencode({"container": container, "stdout": "true", **({"command": "id"} if how == "exec" else {})})
    url = f"{api.host}/api/v1/namespaces/{namespace}/pods/app/{how}?{query}"
    return str(api.request("GET", url, headers={}, timeout=10).data.decode())


@pytest.mark.parametrize("how", ["exec", "attach"])
@pytest.mark.parametrize("container", ["podrole-sidecar", "podrole-redirect"])
def test_command_in_a_container_of_podrole_is_refused(
    editor: ApiServer, namespace: str, how: str, container: str
) -> None:
    assert "[SidecarTargeted]" in run(editor, namespace, how, container)


@pytest.mark.parametrize("how", ["exec", "attach"])
@pytest.mark.parametrize("container", ["app", ""], ids=["app", "default-container"])
def test_command_in_another_container_passes(editor: ApiServer, namespace: str, how: str, container: str) -> None:
    assert "[SidecarTargeted]" not in run(editor, namespace, how, container)
    if container:
        assert NO_NODE in run(editor, namespace, how, container)


def test_command_in_the_sidecar_passes_with_the_verb_exec(guarded: ApiServer, namespace: str) -> None:
    with bound(guarded, namespace, [*RULES, permit("exec")]):
        editor = guarded.impersonate(EDITOR)
        await_permission(editor, namespace)

        assert NO_NODE in run(editor, namespace, "exec", "podrole-sidecar")


@pytest.mark.parametrize("value", [None, "disabled", ""], ids=["removed", "another-value", "empty"])
@pytest.mark.parametrize("part", ["", "/status"], ids=["namespace", "status"])
def test_label_of_a_namespace_cannot_be_removed(
    editor: ApiServer, namespace: str, part: str, value: str | None
) -> None:
    change = {"metadata": {"labels": {"podrole.io/injection": value}}}

    with pytest.raises(RefusedError, match=r"podrole-namespaces.* denied request: \[LabelRemoved\] "):
        editor.patch(("Namespace", f"{namespace}{part}"), change)


def test_label_cannot_be_removed_by_finalizing_the_namespace(guarded: ApiServer, namespace: str) -> None:
    with bound(guarded, namespace, [{**RULES[1], "resources": ["namespaces/finalize"], "verbs": ["update"]}]):
        changed = guarded.read("Namespace", namespace)
        del changed["metadata"]["labels"]["podrole.io/injection"]
        url = f"{guarded.host}/api/v1/namespaces/{namespace}/finalize"
        headers = {"Content-Type": "application/json"}
        editor = guarded.impersonate(EDITOR)
        answer = editor.request("PUT", url, body=json.dumps(changed), headers=headers, timeout=30)

    assert "[LabelRemoved]" in answer.data.decode()


def test_other_labels_of_a_namespace_can_be_changed(editor: ApiServer, namespace: str) -> None:
    changed = editor.patch(("Namespace", namespace), {"metadata": {"labels": {"tier": "front"}}}).object

    assert changed["metadata"]["labels"]["tier"] == "front"


def test_label_can_be_removed_with_the_verb_disable(guarded: ApiServer, namespace: str) -> None:
    change = {"metadata": {"labels": {"podrole.io/injection": None}}}
    with bound(guarded, namespace, [*RULES, permit("disable")]):
        editor = guarded.impersonate(EDITOR)
        await_permission(editor, namespace)

        changed = editor.patch(("Namespace", namespace), change).object

    assert "podrole.io/injection" not in changed["metadata"]["labels"]


def test_labelled_namespace_is_deleted(guarded: ApiServer, make_namespace: MakeNamespace) -> None:
    namespace = make_namespace()
    guarded.delete("Namespace", namespace)

    def is_terminating() -> bool:
        return bool(guarded.read("Namespace", namespace)["status"]["phase"] == "Terminating")

    wait_for("the end of the namespace", is_terminating)
