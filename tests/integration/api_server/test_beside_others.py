"""Other webhooks, reinvocation, and pods that are already injected."""

import copy
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from injector.patch.pod_uid import CREDENTIALS_PATH
from testing.cases import all_containers, environment_of, find_container
from testing.cluster.api import STRATEGIC_MERGE, ApiServer, wait_for
from testing.cluster.namespaces import ENABLED, Namespaces
from testing.cluster.pods import APP, OURS, Pod, build_pod, names_of, renew, set_redirect_state, store
from tests.integration.api_server.webhooks import Injector, build_configuration, run_mesh

MESH_LABEL = {"example.com/mesh": "enabled"}
MOST_CONTAINERS = 250


@pytest.fixture(params=["aa-mesh", "zz-mesh"], ids=["before-podrole", "after-podrole"])
def meshed(
    request: pytest.FixtureRequest,
    api: ApiServer,
    namespaces: Namespaces,
    run_label: dict[str, str],
    tmp_path: Path,
) -> Iterator[str]:
    """A namespace of both webhooks. The API server calls them in the order of their configurations' names."""
    name = f"{request.param}-{uuid.uuid4().hex[:8]}"
    webhook = {"name": "mesh.example.com", "namespaceSelector": {"matchLabels": run_label | MESH_LABEL}}
    with run_mesh(tmp_path) as (url, ca):
        api.create(build_configuration(name, webhook, url, ca))
        try:
            plain = namespaces.make(labels=MESH_LABEL)
            wait_for("the API server calls the mesh", lambda: "initContainers" in try_pod(api, plain)["spec"])
            yield namespaces.make(labels=ENABLED | MESH_LABEL)
        finally:
            api.delete("MutatingWebhookConfiguration", name)


def try_pod(api: ApiServer, namespace: str) -> dict[str, dict[str, object]]:
    return store(api, build_pod(), namespace, dry_run=True)


@pytest.mark.parametrize("dry_run", [True, False], ids=["dry-run", "real"])
def test_containers_of_a_mesh_get_the_role_and_come_after_the_sidecar(
    api: ApiServer, meshed: str, *, dry_run: bool
) -> None:
    stored = store(api, build_pod(), meshed, dry_run=dry_run)

    assert names_of(stored, "initContainers") == [*OURS, "mesh-init"]
    assert names_of(stored, "containers") == ["app", "mesh-proxy"]
    for name in ("app", "mesh-init", "mesh-proxy"):
        variables = environment_of(find_container(stored, name))
        assert variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] == CREDENTIALS_PATH


def count_reviews(injector: Injector, pod: Pod) -> int:
    lines = [json.loads(line) for line in injector.log.splitlines()]
    name = pod["metadata"]["name"]
    return sum(line.get("pod") == name and line["outcome"] == "Inject" for line in lines)


def test_webhook_is_called_once_if_no_plugin_changes_the_pod(
    api: ApiServer, injector: Injector, namespace: str
) -> None:
    stored = store(api, build_pod(name=f"once-{uuid.uuid4().hex[:8]}"), namespace)

    assert count_reviews(injector, stored) == 1


def test_reinvocation_adds_nothing(api: ApiServer, injector: Injector, namespace: str) -> None:
    limits = {"limits": [{"type": "Container", "default": {"cpu": "300m"}}]}
    limit_range = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "limits"}, "spec": limits}
    api.create(limit_range, namespace)

    stored = store(api, build_pod(name=f"twice-{uuid.uuid4().hex[:8]}"), namespace)

    assert count_reviews(injector, stored) == 2
    assert names_of(stored, "initContainers") == OURS
    assert [volume["name"] for volume in stored["spec"]["volumes"]].count("podrole-token") == 1
    names = [variable["name"] for variable in find_container(stored, "app")["env"]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("dry_run", [True, False], ids=["dry-run", "real"])
def test_creating_an_injected_pod_again_changes_nothing(api: ApiServer, namespace: str, *, dry_run: bool) -> None:
    own = [{"name": "migrate", "image": "example/app:1"}]
    first = store(api, build_pod(initContainers=own), namespace)

    second = store(api, renew(first), namespace, dry_run=dry_run)

    assert second["spec"] == first["spec"]
    assert second["metadata"]["annotations"] == first["metadata"]["annotations"]


def test_forged_sidecar_in_an_injected_pod_is_replaced(api: ApiServer, namespace: str) -> None:
    first = store(api, build_pod(), namespace)
    forged = renew(first)
    sidecar = find_container(forged, "podrole-sidecar")
    sidecar |= {"image": "example/forged:1", "command": ["sh"]}
    forged["spec"]["initContainers"].reverse()

    second = store(api, forged, namespace)

    assert second["spec"] == first["spec"]


def test_pod_with_250_containers_is_injected(api: ApiServer, namespace: str) -> None:
    containers = [{"name": f"app-{index}", "image": "example/app:1"} for index in range(MOST_CONTAINERS)]

    stored = store(api, build_pod(containers=containers), namespace)

    assert names_of(stored, "initContainers") == OURS
    assert names_of(stored, "containers") == [container["name"] for container in containers]
    for container in stored["spec"]["containers"]:
        assert environment_of(container)["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] == CREDENTIALS_PATH


def test_pod_of_one_mebibyte_is_injected(api: ApiServer, namespace: str) -> None:
    text = "x" * (1 << 18)
    containers = [{**APP, "name": name, "env": [{"name": "TEXT", "value": text}]} for name in ("a", "b", "c", "d")]

    stored = store(api, build_pod(containers=containers), namespace)

    assert names_of(stored, "initContainers") == OURS
    assert [environment_of(container)["TEXT"] for container in stored["spec"]["containers"]] == [text] * 4


def test_ephemeral_container_can_be_added_to_an_injected_pod(api: ApiServer, namespace: str) -> None:
    before = store(api, build_pod(), namespace)
    set_redirect_state(api, namespace)
    debugger = {"name": "debugger", "image": "example/tools:1"}

    change = {"spec": {"ephemeralContainers": [debugger]}}
    api.patch(("Pod", "app/ephemeralcontainers"), change, namespace, how=STRATEGIC_MERGE)

    after = api.read("Pod", "app", namespace)
    assert [container["name"] for container in after["spec"]["ephemeralContainers"]] == ["debugger"]
    assert list(all_containers(after)) == list(all_containers(before))


def test_labels_of_an_injected_pod_can_be_changed(api: ApiServer, namespace: str) -> None:
    before = copy.deepcopy(store(api, build_pod(), namespace))

    api.patch(("Pod", "app"), {"metadata": {"labels": {"tier": "front"}}}, namespace)

    after = api.read("Pod", "app", namespace)
    assert after["metadata"]["labels"] == {**before["metadata"]["labels"], "tier": "front"}
    assert after["spec"] == before["spec"]
