"""With an eBPF program that rewrites connect() to the metadata addresses, before netfilter sees a packet.

Cilium's local redirect policies and its socket-level load balancer work like this. docs/redirect.md says what to do.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import contract
from testing.demo_node import DemoNode, assume_node_role
from testing.pods import NODE_IPV4, NODE_IPV6, PodError, PodNetwork
from testing.services import programs
from tests.integration.netns.backends import Backend
from tests.integration.netns.checks import EC2, SendProbes, build_probes
from tests.integration.netns.conftest import start_responder, stop
from tests.integration.netns.connect_hook import Destination, UnsupportedError, rewritten
from tests.waiting_app import IDENTITY, POD, WHO_AM_I

PORT = 8181
OTHER_ROLE = "of-another-pod"
TO_ANOTHER_SERVER: dict[Destination, Destination] = {
    (EC2[0], 80): (NODE_IPV4, PORT),
    (EC2[1], 80): (NODE_IPV6, PORT),
}


@contextlib.contextmanager
def in_cgroup_with_hook() -> Iterator[None]:
    """Run new processes with the programs; skip the test where this is not possible."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(rewritten(TO_ANOTHER_SERVER))
        except UnsupportedError as error:
            pytest.skip(f"{error}. Run as root")
        yield


@pytest.fixture
def injected(demo_node: DemoNode) -> dict[str, Any]:
    return demo_node.webhook.admit(POD).pod


@pytest.fixture
def other_server(demo_node: DemoNode, tmp_path: Path) -> Iterator[None]:
    """A metadata service with another role, as a backend of a local redirect policy."""
    credentials = tmp_path / "other.json"
    credentials.write_text(assume_node_role(demo_node.node, OTHER_ROLE))
    endpoints = (f"{NODE_IPV4}:{PORT}", f"[{NODE_IPV6}]:{PORT}")
    with programs.imds(tmp_path, credentials, endpoints, popen=demo_node.node.popen):
        yield


@pytest.mark.parametrize("kind", ["redirect", "block"])
def test_rewritten_connect_bypasses_the_rules(
    backend: Backend, network: PodNetwork, send_probes: SendProbes, kind: str
) -> None:
    """The rules see the other server's address, with every backend."""
    other = start_responder(network.node.popen, "other", f"{NODE_IPV4},{NODE_IPV6}", str(PORT))
    backend.load(network, kind)
    probes = build_probes("tcp", EC2, 80)

    with in_cgroup_with_hook():
        rewritten_results = send_probes(network, *probes)
    results = send_probes(network, *probes)

    stop(other)
    assert rewritten_results == ["other"] * 2
    assert results == (["sidecar"] * 2 if kind == "redirect" else ["ECONNREFUSED"] * 2)


@pytest.mark.usefixtures("other_server")
def test_self_check_notices_a_rewritten_connect(demo_node: DemoNode, injected: dict[str, Any]) -> None:
    with in_cgroup_with_hook(), demo_node.create_pod(injected) as pod:
        with pytest.raises(PodError, match="the redirect is not in effect"):
            pod.start()
        log = pod.logs(contract.SIDECAR_CONTAINER)

        assert pod.container("app").exit_code is None, "the app must not start"
    assert "169.254.169.254: another server responds" in log
    assert "fd00:ec2::254: another server responds" in log
    assert "169.254.170.2:" not in log
    assert "an eBPF program (Cilium's local redirect policies) or the runtime's own network stack bypasses it" in log


@pytest.mark.usefixtures("other_server")
def test_self_check_does_not_notice_a_program_on_the_apps_cgroup_only(
    demo_node: DemoNode, injected: dict[str, Any]
) -> None:
    """The self-check connects from the sidecar's cgroup. Cilium attaches its programs to the root of all cgroups."""
    with demo_node.create_pod(injected) as pod:
        pod.start()
        before = pod.exec("app", ["python3", "/app/apps/reach.py", "169.254.169.254:80"]).stdout
        with in_cgroup_with_hook():
            after = pod.exec("app", ["python3", "/app/apps/reach.py", "169.254.169.254:80"]).stdout
        identity = pod.exec("app", WHO_AM_I, timeout_seconds=60).stdout.strip()

    assert before.strip().endswith("\treader")
    assert after.strip().endswith(f"\t{OTHER_ROLE}")
    assert identity == IDENTITY
