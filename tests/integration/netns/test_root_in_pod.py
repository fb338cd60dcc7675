"""What root in a pod's container can do that podrole does not stop: docs/threat-model.md says so."""

import re
import sys
from collections.abc import Iterator

import pytest

import contract
from testing.demo_node import DemoNode
from testing.pods import Pod
from testing.pods.security import DEFAULT_CAPABILITIES
from tests.integration.netns.conftest import HERE
from tests.waiting_app import POD

READ_STATE_FILE = ("sh", "-c", "cat /dev/shm/podrole-*/*")


@pytest.fixture
def pod(demo_node: DemoNode) -> Iterator[Pod]:
    if demo_node.node.single_user:
        pytest.skip("every uid is 0 in a user namespace: run as root")
    with demo_node.create_pod(demo_node.webhook.admit(POD).pod) as pod:
        pod.start()
        yield pod


@pytest.fixture
def secret(pod: Pod) -> str:
    """The secret access key in the sidecar's state file, which only root and the sidecar can read."""
    [key] = re.findall(r'"secret_access_key": "([^"]+)"', pod.exec("app", READ_STATE_FILE).stdout)
    return str(key)


def read_sidecar_memory(demo_node: DemoNode, secret: str, *, uid: int) -> str:
    """Search the sidecar's memory as a process of another container that sees its pid (shareProcessNamespace).

    The pod runner does not share pid namespaces, so the process runs in the node's, with a container's capabilities.
    """
    find = ["pgrep", "--full", "--oldest", "-U", str(contract.SIDECAR_UID), "--", "-m sidecar"]
    pid = demo_node.node.run(find).stdout.strip()
    capabilities = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in DEFAULT_CAPABILITIES)
    limit = ["setpriv", f"--bounding-set=-all,{capabilities}", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    return demo_node.node.run([*limit, sys.executable, str(HERE / "read_memory.py"), pid, secret]).stdout


def test_root_reads_the_sidecars_state_file(secret: str) -> None:
    """It has the pod's own role, which root gets from the sidecar anyway."""
    assert secret


def test_user_of_the_sidecar_reads_its_memory_with_a_shared_process_namespace(demo_node: DemoNode, secret: str) -> None:
    """Root can become that user, as runtimes grant SETUID unless it is dropped."""
    assert read_sidecar_memory(demo_node, secret, uid=contract.SIDECAR_UID) == "found"


@pytest.mark.parametrize("uid", [pytest.param(0, id="root"), pytest.param(1000, id="not-root")])
def test_other_users_cannot_read_the_sidecars_memory(demo_node: DemoNode, secret: str, uid: int) -> None:
    """Root needs SYS_PTRACE for another user's process, which runtimes do not grant."""
    assert read_sidecar_memory(demo_node, secret, uid=uid) == "permission denied"
