"""Ways to bypass the rules: those that are blocked, and those that work, as docs/redirect.md documents."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

import contract
from testing.pods import NODE_IPV4, CommandError, Image, Node, Pod, PodNetwork
from testing.pods.networks import BRIDGE_MAC
from testing.repository import ROOT
from tests.integration.netns.backends import Backend, build_nftables
from tests.integration.netns.checks import EC2, REJECTIONS, SendProbes, build_probes
from tests.integration.netns.conftest import HERE, start_responder, stop
from tests.integration.netns.held_connections import HeldConnections

OVERLAY_MAC = "02:00:00:00:77:02"
SEND_FRAME = ["python3", "/test/raw_frame.py"]


@pytest.fixture
def pod(node: Node, image: Image, request: pytest.FixtureRequest) -> Iterator[Pod]:
    """A pod with the rules, whose app has the given securityContext."""
    redirect = {
        "name": "podrole-redirect",
        "image": "podrole",
        "command": ["nft", "-D", f"listen={contract.SIDECAR_PORT}", "-f", contract.REDIRECT_RULES],
        "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}},
    }
    app = {"name": "app", "image": "podrole", "command": ["sleep", "600"], "securityContext": request.param}
    spec = {"initContainers": [redirect], "containers": [app]}
    images = {"podrole": image.with_binds({"/test": HERE})}
    with node.pod({"metadata": {"name": "limits"}, "spec": spec}, images) as placed:
        placed.start()
        yield placed


def send_frame(pod: Pod, way: str) -> str:
    source = pod.network.ipv4
    return pod.exec("app", [*SEND_FRAME, way, source, "169.254.169.254", BRIDGE_MAC]).stdout.strip()


@pytest.mark.parametrize("pod", [{}], indirect=True, ids=["runtime-defaults"])
@pytest.mark.parametrize("way", ["packet", "xdp"])
def test_root_with_net_raw_bypasses_the_rules_with_raw_frames(pod: Pod, way: str, send_probes: SendProbes) -> None:
    """Runtimes grant NET_RAW to root unless it is dropped."""
    udp = send_probes(pod.network, "udp/169.254.169.254/80")

    result = send_frame(pod, way)

    if result == "EAFNOSUPPORT":
        pytest.skip("this kernel was built without AF_XDP (CONFIG_XDP_SOCKETS)")
    assert udp in (["ECONNREFUSED"], ["EPERM"])
    assert result == "node"


def test_raw_frames_bypass_the_rules_of_a_pod_without_a_role(backend: Backend, network: PodNetwork) -> None:
    backend.load(network, "block")

    result = network.run(
        [sys.executable, str(HERE / "raw_frame.py"), "packet", network.ipv4, EC2[0], BRIDGE_MAC]
    ).stdout

    assert result == "node"


@pytest.mark.parametrize("pod", [{"capabilities": {"add": ["NET_ADMIN"]}}], indirect=True, ids=["net-admin"])
def test_container_with_net_admin_deletes_the_rules(pod: Pod, send_probes: SendProbes) -> None:
    before = send_probes(pod.network, "udp/169.254.169.254/80")

    pod.exec("app", ["nft", "delete", "table", "inet", "podrole"])

    assert before in (["ECONNREFUSED"], ["EPERM"])
    assert send_probes(pod.network, "udp/169.254.169.254/80") == ["node"]


@pytest.mark.parametrize(
    "pod",
    [{"capabilities": {"drop": ["NET_RAW"]}}, {"capabilities": {"drop": ["ALL"]}}, {"runAsUser": 1000}],
    indirect=True,
    ids=["drop-net-raw", "drop-all", "not-root"],
)
@pytest.mark.parametrize("way", ["packet", "xdp"])
def test_raw_frames_need_net_raw(pod: Pod, way: str) -> None:
    result = send_frame(pod, way)

    if result == "EAFNOSUPPORT":
        pytest.skip("this kernel was built without AF_XDP (CONFIG_XDP_SOCKETS)")
    assert result == "EPERM"


def test_raw_ip_packet_does_not_bypass_the_rules(backend: Backend, network: PodNetwork, plain: PodNetwork) -> None:
    def send(pod: PodNetwork) -> str:
        return pod.run([sys.executable, str(HERE / "raw_frame.py"), "header", pod.ipv4, EC2[0], BRIDGE_MAC]).stdout

    backend.load(network)

    assert send(network) in REJECTIONS
    assert send(plain) == "node"


@pytest.mark.parametrize("kind", ["redirect", "block"])
def test_socket_bound_to_device_does_not_reach_the_node(
    backend: Backend, network: PodNetwork, plain: PodNetwork, send_probes: SendProbes, kind: str
) -> None:
    """The redirected packets leave by eth0 for a loopback address, where nothing responds."""
    probes = [f"tcp/{address}/80/device=eth0" for address in EC2]
    backend.load(network, kind)

    results = send_probes(network, *probes)

    assert results == (["silence"] * 2 if kind == "redirect" else ["ECONNREFUSED"] * 2)
    assert send_probes(plain, *probes) == ["node"] * 2


def test_proxy_outside_the_pod_connects_from_its_own_network(
    backend: Backend, network: PodNetwork, plain: PodNetwork, send_probes: SendProbes
) -> None:
    """For example a forward proxy or a NAT64 gateway with its own prefix: the rules see only its address."""
    address = f"{plain.ipv4}:8888"
    proxy = plain.popen([sys.executable, str(HERE / "forward.py"), address, f"{EC2[0]}:80"], stdout=subprocess.PIPE)
    assert proxy.stdout
    proxy.stdout.readline()
    backend.load(network)

    result = send_probes(network, f"tcp/{plain.ipv4}/8888")

    stop(proxy)
    proxy.stdout.close()
    assert result == ["node"]


def test_user_namespace_gives_no_capability_over_the_pods_rules(network: PodNetwork, send_probes: SendProbes) -> None:
    """A process is root in a user namespace that it creates, but the pod's network belongs to another one."""
    build_nftables().load(network)
    delete = ["nft", "delete", "table", "inet", "podrole"]

    with pytest.raises(CommandError, match="Operation not permitted"):
        network.run(["unshare", "--user", "--map-root-user", *delete])

    assert send_probes(network, "tcp/169.254.169.254/80") == ["sidecar"]


MARK = "7"


@pytest.mark.parametrize("option", ["mptcp=", "fastopen=", f"mark={MARK}"])
def test_variant_of_tcp_is_redirected(
    backend: Backend, network: PodNetwork, send_probes: SendProbes, option: str
) -> None:
    """Multipath TCP, data in the SYN, and a route of another table, which the packet's mark selects."""
    network.run(["sysctl", "-qw", "net.ipv4.tcp_fastopen=5"])
    network.run(["ip", "rule", "add", "fwmark", MARK, "table", MARK])
    network.run(["ip", "route", "add", f"{EC2[0]}/32", "via", NODE_IPV4, "table", MARK])
    probe = f"tcp/{EC2[0]}/80/{option}"
    [before] = send_probes(network, probe)

    backend.load(network)

    [after] = send_probes(network, probe)
    assert (before[:4], after[:7]) == ("node", "sidecar")  # the response to the SYN's data can follow


def test_tunnel_endpoint_outside_the_pod_forwards_what_any_process_sends(
    backend: Backend, network: PodNetwork, node: Node
) -> None:
    """The rules see UDP to the node. A node's VXLAN device (Flannel, Calico, Cilium) takes packets from pods too."""
    node.run(["ip", "link", "add", "overlay", "address", OVERLAY_MAC, "type", "vxlan", "id", "1", "dstport", "8472"])
    node.run(["ip", "link", "set", "overlay", "up"])
    node.run(["sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.overlay.rp_filter=0"])
    send = [sys.executable, str(HERE / "raw_frame.py"), "vxlan", network.ipv4, EC2[0], OVERLAY_MAC]
    backend.load(network)

    result = network.run(["setpriv", "--reuid=1000", "--clear-groups", *send] if not node.single_user else send).stdout

    node.run(["ip", "link", "delete", "overlay"])
    assert result == "node"


def test_other_pods_cannot_reach_the_sidecar(
    backend: Backend, network: PodNetwork, plain: PodNetwork, send_probes: SendProbes
) -> None:
    """Other pods cannot reach a pod's loopback: the redirect needs no route_localnet, which would allow it."""
    backend.load(network)
    app = start_responder(network.popen, "app", f"{network.ipv4},{network.ipv6}", "8080")

    results = send_probes(plain, *build_probes("tcp", (network.ipv4, network.ipv6), 8080, contract.SIDECAR_PORT))

    stop(app)
    settings = network.run(["sysctl", "-n", "net.ipv4.conf.all.route_localnet", "net.ipv4.conf.eth0.route_localnet"])
    assert results == ["app", "ECONNREFUSED"] * 2
    assert settings.stdout.split() == ["0", "0"]
    assert send_probes(network, "tcp/169.254.169.254/80") == ["sidecar"]


def test_open_connections_to_the_sidecar_survive_reloading(backend: Backend, network: PodNetwork) -> None:
    backend.load(network)

    with HeldConnections(network, [f"{address}/80" for address in EC2]) as connections:
        assert connections.status() == ["sidecar"] * 2
        backend.load(network)
        status = connections.status()

    assert status == ["sidecar"] * 2


@pytest.mark.parametrize("kind", ["redirect", "block"])
def test_open_connections_to_the_node_are_reset(backend: Backend, network: PodNetwork, kind: str) -> None:
    with HeldConnections(network, [f"{address}/80" for address in EC2]) as connections:
        assert connections.status() == ["node"] * 2
        backend.load(network, kind)
        status = connections.status()

    assert status == ["ECONNRESET"] * 2


def test_rules_cannot_be_deleted_without_net_admin(network: PodNetwork) -> None:
    """Root with a runtime's default capabilities is denied."""
    build_nftables().load(network)

    with pytest.raises(CommandError, match="Operation not permitted"):
        network.run(["capsh", "--drop=cap_net_admin", "--", "-c", "nft delete table inet podrole"])


NAMED_TEST = re.compile(r"`(\w+/test_\w+\.py)::(test_\w+)`")


def test_docs_name_an_existing_test_for_each_way_around_the_rules() -> None:
    section = (ROOT / "docs/redirect.md").read_text().split("## What it cannot stop")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    for row in rows:
        named = NAMED_TEST.findall(row)
        assert named or "not tested" in row, row
        for file, name in named:
            assert f"def {name}(" in (ROOT / "tests/integration" / file).read_text(), row
