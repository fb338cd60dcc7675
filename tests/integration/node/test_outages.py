"""Apps while STS or the sidecar fails."""

import json
import time

from testing.cluster.api import wait_for
from testing.cluster.manifests import Manifest
from tests.integration.node.cluster import Node, build_pod
from tests.integration.node.store import Store

SIDECAR = "podrole-sidecar"
CREDENTIALS = (
    "import json, os, urllib.request; "
    "url = 'http://169.254.170.2' + os.environ['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI']; "
    "print(json.load(urllib.request.urlopen(url, timeout=10))['AccessKeyId'])"
)


def read_status(node: Node, namespace: str) -> Manifest:
    """Read the sidecar's status; empty while it is not running."""
    output = node.execute("app", namespace, "python3", "-m", "sidecar.status", "--output=json", container=SIDECAR)
    try:
        status: Manifest = json.loads(output.partition("\n")[0])  # kubectl appends the exit code
    except ValueError:
        return {}
    return status


def read_restarts(node: Node, namespace: str) -> int:
    """Read the restart count of the sidecar's container."""
    statuses = node.read("pod", "app", namespace)["status"]["initContainerStatuses"]
    return next(int(each["restartCount"]) for each in statuses if each["name"] == SIDECAR)


def kill_sidecar(node: Node, namespace: str) -> None:
    """Send SIGKILL from the node: no process in a container can kill its process 1."""
    pod = node.read("pod", "app", namespace)
    status = next(each for each in pod["status"]["initContainerStatuses"] if each["name"] == SIDECAR)
    container = status["containerID"].rpartition("/")[2]
    node.run_on_node("ctr", "--namespace=k8s.io", "tasks", "kill", "--signal=SIGKILL", container)


def test_sidecar_killed_in_an_sts_outage_keeps_its_credentials(installed: Node, team: str, store: Store) -> None:
    installed.apply(build_pod("sleep 3600", role="anybody"), team)
    installed.await_ready("pod/app", team)
    before = installed.execute("app", team, "python3", "-c", CREDENTIALS)

    with store.outage():
        kill_sidecar(installed, team)
        wait_for("the restart", lambda: read_restarts(installed, team) == 1, 60)
        wait_for("the sidecar's answer", lambda: read_status(installed, team), 60)
        during = installed.execute("app", team, "python3", "-c", CREDENTIALS)
    after = read_status(installed, team)

    print(before, during, after)
    assert before == during
    assert after["state"] == "serving"


def test_pod_started_in_an_sts_outage_recovers(installed: Node, team: str, store: Store) -> None:
    with store.outage():
        installed.apply(build_pod("sleep 3600", role="anybody"), team)
        installed.await_ready("pod/app", team)
        during = read_status(installed, team)
    begin = time.monotonic()
    wait_for("credentials", lambda: read_status(installed, team).get("state") == "serving", 120)

    print(during, f"recovered {time.monotonic() - begin:.1f} s after STS came back")
    assert during["state"] == "waiting"


def test_sidecar_ends_immediately_with_its_pod(installed: Node, team: str) -> None:
    installed.apply(build_pod("trap 'exit 0' TERM; sleep 3600 & wait", role="anybody"), team)
    installed.await_ready("pod/app", team)
    begin = time.monotonic()

    installed.kubectl.run(f"--namespace={team}", "delete", "pod", "app", "--grace-period=60")

    seconds = time.monotonic() - begin
    print(f"deleted in {seconds:.1f} s")
    assert seconds < 50
