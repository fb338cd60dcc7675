"""The sidecar in its container: the self-check without IPv4, the status command, and a restart."""

import copy
import json
from typing import Any

import pytest

import contract
from testing.demo_node import DemoNode
from testing.pods import PodError
from tests.waiting_app import IDENTITY, POD, WHO_AM_I

LINKED_SERVICES = ("PODROLE", "PODROLE_METRICS", "PODROLE_STS")
"""The names of Services as the kubelet writes them: `podrole`, `podrole-metrics`, `podrole-sts`."""

LINK = {
    "_SERVICE_HOST": "10.96.0.10",
    "_SERVICE_PORT": "80",
    "_SERVICE_PORT_HTTP": "80",
    "_PORT": "tcp://10.96.0.10:80",
    "_PORT_80_TCP": "tcp://10.96.0.10:80",
    "_PORT_80_TCP_PROTO": "tcp",
    "_PORT_80_TCP_PORT": "80",
    "_PORT_80_TCP_ADDR": "10.96.0.10",
}
"""What every container of the namespace gets for a Service: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables."""

READ_METRICS = f"""
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:{contract.METRICS_PORT}/metrics", timeout=10).read().decode())
"""
STATUS = ("python3", "-m", "sidecar.status", "--output", "json")


@pytest.fixture(scope="module")
def injected(demo_node: DemoNode) -> dict[str, Any]:
    return demo_node.webhook.admit(POD).pod


def test_self_check_uses_ipv6_without_an_ipv4_route(demo_node: DemoNode, injected: dict[str, Any]) -> None:
    with demo_node.create_pod(injected, demo_node.images) as pod:
        pod.network.run(["ip", "-4", "route", "delete", "default"])

        pod.start()

        assert '"started"' in pod.logs(contract.SIDECAR_CONTAINER)
        assert json.loads(pod.exec(contract.SIDECAR_CONTAINER, STATUS).stdout)["state"] == "serving"


def test_services_named_like_settings_do_not_disturb_the_sidecar(demo_node: DemoNode, injected: dict[str, Any]) -> None:
    pod = copy.deepcopy(injected)
    links = [{"name": f"{name}{end}", "value": value} for name in LINKED_SERVICES for end, value in LINK.items()]
    for container in pod["spec"]["initContainers"]:
        container["env"] = [*links, {"name": "PODROLE_METRICS", "value": "true"}, *container.get("env", [])]

    with demo_node.create_pod(pod, demo_node.images) as running:
        running.start()

        metrics = running.exec(contract.SIDECAR_CONTAINER, ["python3", "-c", READ_METRICS]).stdout
        status = json.loads(running.exec(contract.SIDECAR_CONTAINER, STATUS).stdout)
        assert running.exec("app", WHO_AM_I, timeout_seconds=60).stdout.strip() == IDENTITY

    assert status["state"] == "serving"
    assert "podrole_" in metrics


def test_pod_without_any_route_fails_with_an_error(demo_node: DemoNode, injected: dict[str, Any]) -> None:
    with demo_node.create_pod(injected, demo_node.images) as pod:
        for family in ("-4", "-6"):
            pod.network.run(["ip", family, "route", "delete", "default"])

        with pytest.raises(PodError, match="the pod has no route to any metadata address"):
            pod.start()


def test_status_command_works_in_the_container(demo_node: DemoNode, injected: dict[str, Any]) -> None:
    with demo_node.create_pod(injected, demo_node.images) as pod:
        pod.start()

        result = pod.exec(contract.SIDECAR_CONTAINER, STATUS)
        user = pod.exec(contract.SIDECAR_CONTAINER, ["python3", "-c", "import os; print(os.getuid())"])

    status = json.loads(result.stdout)
    assert result.returncode == 0
    assert user.stdout.strip() in {str(contract.SIDECAR_UID), "0"}  # 0 in a user namespace
    assert (status["mode"], status["state"], status["failures"]) == ("redirect", "serving", 0)
    assert list(status) == [
        "role",
        "source",
        "intermediate_role",
        "mode",
        "state",
        "seconds_left",
        "expires",
        "last_success",
        "ignored_times",
        "next_refresh",
        "failures",
        "last_failure",
        "node_metadata",
        "state_file_error",
    ]


def test_restarted_container_restores_its_credentials(demo_node: DemoNode, injected: dict[str, Any]) -> None:
    with demo_node.create_pod(injected, demo_node.images) as pod:
        pod.start()
        before = json.loads(pod.exec(contract.SIDECAR_CONTAINER, STATUS).stdout)

        pod.restart(contract.SIDECAR_CONTAINER)

        after = json.loads(pod.exec(contract.SIDECAR_CONTAINER, STATUS).stdout)
        log = pod.logs(contract.SIDECAR_CONTAINER)
        assert pod.exec("app", WHO_AM_I, timeout_seconds=60).stdout.strip() == IDENTITY
        assert (after["expires"], after["last_success"]) == (before["expires"], before["last_success"])
        assert '"restored"' in log
        assert '"refreshed"' not in log


@pytest.mark.parametrize("change", [pytest.param({}, id="default"), pytest.param({"hostIPC": True}, id="host-ipc")])
def test_pods_do_not_share_their_run_directory(demo_node: DemoNode, change: dict[str, Any]) -> None:
    """With hostIPC pods share the node's /dev/shm, so each sidecar gets its own memory volume."""
    pod = {**POD, "spec": {**POD["spec"], **change}}
    spec = demo_node.webhook.admit(pod).pod["spec"]
    sidecar = next(container for container in spec["initContainers"] if container["name"] == contract.SIDECAR_CONTAINER)

    [directory] = [one["value"] for one in sidecar["env"] if one["name"] == contract.ENV_RUN_DIRECTORY]

    assert directory.endswith(f"/podrole-$({contract.ENV_POD_UID})")
    assert directory.startswith(contract.SHARED_MEMORY) == (not change)
    mounts = {mount["name"] for one in spec["containers"] for mount in one.get("volumeMounts") or []}
    assert contract.RUN_VOLUME not in mounts
