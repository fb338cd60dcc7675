"""The policies stay within the cost that the API server allows, for the largest pods that it stores.

https://kubernetes.io/docs/reference/using-api/cel/#resource-constraints
"""

import copy
from typing import Any

import pytest

from testing.cases import Pod, load_case
from testing.cluster.api import STRATEGIC_MERGE, ApiServer
from testing.cluster.pods import set_redirect_state
from tests.integration.api_server.guard.surroundings import MakeNamespace


def build_container(index: int, field: str, count: int) -> dict[str, Any]:
    container: dict[str, Any] = {"name": f"app-{index}", "image": "example/app:1"}
    if field == "env":
        container["env"] = [{"name": f"NAME_{number}", "value": "x"} for number in range(count)]
    if field == "volumeMounts":
        container["volumeMounts"] = [{"name": "d", "mountPath": f"/{number}"} for number in range(count)]
    return container


SHAPES = {
    "250-containers": ("containers", 250, "env", 1),
    "1000-containers": ("containers", 1000, "env", 0),
    "500-containers-with-5000-variables": ("containers", 500, "env", 10),
    "500-init-containers-with-5000-variables": ("initContainers", 500, "env", 10),
    "500-containers-with-10000-mounts": ("containers", 500, "volumeMounts", 20),
    "one-container-with-10000-mounts": ("containers", 1, "volumeMounts", 10000),
}


def build(shape: tuple[str, int, str, int]) -> Pod:
    where, containers, field, count = shape
    pod = copy.deepcopy(load_case("role-on-the-pod").inject())
    pod["spec"]["volumes"].append({"name": "d", "emptyDir": {}})
    pod["spec"][where] += [build_container(index, field, count) for index in range(containers)]
    return pod


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_large_pod_passes_when_it_is_created_updated_and_debugged(
    guarded: ApiServer, make_namespace: MakeNamespace, shape: tuple[str, int, str, int]
) -> None:
    pod = build(shape)
    namespace = pod["metadata"]["namespace"] = make_namespace()

    guarded.create(pod, namespace)
    guarded.patch(("Pod", "app"), {"metadata": {"labels": {"tier": "front"}}}, namespace)
    set_redirect_state(guarded, namespace)
    debugger = {"spec": {"ephemeralContainers": [{"name": "debugger", "image": "example/tools:1"}]}}
    guarded.patch(("Pod", "app/ephemeralcontainers"), debugger, namespace, how=STRATEGIC_MERGE)

    assert guarded.read("Pod", "app", namespace)["metadata"]["labels"]["tier"] == "front"
