"""A node in its own namespaces, with a fake metadata service that every pod can reach."""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import contract
from testing.pods import Image, Node, PodNetwork, UnavailableError, build_image, has_ipv6
from testing.pods.namespaces import SEARCH_PATH, NamespaceProcess
from testing.repository import ROOT
from tests.integration.netns.backends import Backend, build_iptables, build_nftables
from tests.integration.netns.checks import NAT64, NEIGHBOUR, NESTED_GATEWAY, SendProbes

HERE = Path(__file__).parent
PORTS = "53,80,443,8080,sctp"
EC2_ADDRESSES = ("169.254.169.254", "fd00:ec2::254")

ROUTER = (
    *(f"net.ipv4.conf.{device}.accept_source_route=1" for device in ("all", "podrole0")),
    *(f"net.ipv6.conf.{device}.{kind}_enabled=1" for device in ("all", "podrole0") for kind in ("seg6", "rpl_seg")),
)
"""The node forwards source-routed packets."""


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """A node where all metadata addresses respond with `node`, also by a source route and by their NAT64 addresses."""
    if not has_ipv6():
        pytest.skip("the kernel was booted without IPv6: remove ipv6.disable=1 from its command line")
    with contextlib.ExitStack() as stack:
        try:
            node = stack.enter_context(Node())
        except UnavailableError as error:
            pytest.skip(str(error))
        addresses = (*contract.METADATA_ADDRESSES, NEIGHBOUR, *NAT64)
        for address in addresses:
            node.add_address(address)
        node.run(["sysctl", "-qw", *ROUTER])
        start_responder(node.popen, "node", ",".join(addresses), PORTS)
        yield node


@pytest.fixture(scope="session")
def image(node: Node) -> Image:
    return build_image(ROOT, node.nft)


@pytest.fixture
def network(node: Node) -> Iterator[PodNetwork]:
    """A pod's network, where the sidecar's port responds with `sidecar`."""
    network = node.network("pod")
    allow_ping(network)
    process = start_responder(network.popen, "sidecar", "127.0.0.1,::1", str(contract.SIDECAR_PORT))
    yield network
    stop(process)
    network.remove()


@pytest.fixture
def plain(node: Node) -> Iterator[PodNetwork]:
    """A second network without rules, which shows that the destinations exist."""
    network = node.network("plain")
    allow_ping(network)
    yield network
    network.remove()


@pytest.fixture
def send_probes() -> SendProbes:
    """Send probes from a network: `send_probes(network, "tcp/169.254.169.254/80")`, as another user with `uid`."""

    def send_probes(network: PodNetwork, *probes: str, uid: int = 0) -> list[str]:
        user = [f"uid={uid}"] if uid else []
        command = [sys.executable, str(HERE / "send_probes.py"), *user, *probes]
        results: list[str] = json.loads(network.run(command).stdout)
        return results

    return send_probes


@pytest.fixture
def nested(network: PodNetwork) -> Iterator[PodNetwork]:
    """The network of a container inside the pod (docker-in-docker): the pod's network forwards its packets."""
    with nested_network(network) as inner:
        yield inner


@pytest.fixture(params=["nftables", "iptables-nft", "iptables-legacy"])
def backend(request: pytest.FixtureRequest, tmp_path: Path, node: Node) -> Backend:
    """Each way to load the rules; tests that use it run with every one."""
    return build_backend(request.param, tmp_path, node)


def build_backend(name: str, directory: Path, node: Node | PodNetwork, repository: Path = ROOT) -> Backend:
    """Return a way to load the rules by its name; skip the test if this machine does not support it."""
    if name == "nftables":
        return build_nftables(repository)
    variant = name.removeprefix("iptables-")
    if not shutil.which(name, path=SEARCH_PATH):
        pytest.skip(f"missing program: {name}. As root: apt-get install -y iptables")
    backend = build_iptables(directory, variant, repository=repository)
    if variant == "legacy":
        missing = backend.find_missing_table(node)
        if missing:
            pytest.skip(f"the kernel has no legacy tables: {missing}. As root: modprobe -a iptable_nat ip6table_nat")
    return backend


@contextlib.contextmanager
def nested_network(network: PodNetwork) -> Iterator[PodNetwork]:
    """Create a network behind the pod's, which forwards its packets, also those with a source route."""
    node = network.node
    inner = PodNetwork(node, f"{network.name}-nested", "10.78.0.2", "fd00:78::2")
    node.run(["ip", "netns", "add", inner.name])
    outside = [
        f"link add inner type veth peer name eth0 netns {inner.name}",
        f"addr add {NESTED_GATEWAY}/24 dev inner",
        "addr add fd00:78::1/64 dev inner nodad",
        "link set inner up",
    ]
    inside = [
        "link set lo up",
        f"addr add {inner.ipv4}/24 dev eth0",
        f"addr add {inner.ipv6}/64 dev eth0 nodad",
        "link set eth0 up",
        f"route add 0.0.0.0/0 via {NESTED_GATEWAY}",
        "route add ::/0 via fd00:78::1",
    ]
    network.run(["ip", "-batch", "-"], text="\n".join(outside) + "\n")
    inner.run(["ip", "-batch", "-"], text="\n".join(inside) + "\n")
    accept = [f"net.ipv4.conf.{device}.accept_source_route=1" for device in ("all", "inner")]
    network.run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", *accept])
    allow_ping(inner)
    routes = [f"route add 10.78.0.0/24 via {network.ipv4}", f"route add fd00:78::/64 via {network.ipv6}"]
    node.run(["ip", "-batch", "-"], text="\n".join(routes) + "\n")
    yield inner
    inner.remove()
    node.run(["ip", "-batch", "-"], text="\n".join(routes).replace("add", "delete") + "\n")


@contextlib.contextmanager
def metadata_node() -> Iterator[Node]:
    """A node with the addresses of EC2's metadata service, on which nothing listens; skip the test without one."""
    if not has_ipv6():
        pytest.skip("the kernel was booted without IPv6: remove ipv6.disable=1 from its command line")
    try:
        with Node() as node:
            for address in EC2_ADDRESSES:
                node.add_address(address)
            yield node
    except UnavailableError as error:
        pytest.skip(str(error))


@contextlib.contextmanager
def run_server(node: Node, script: str, *arguments: str) -> Iterator[None]:
    """Run a script of this folder on a node until the block ends."""
    process = start_server(node.popen, script, *arguments)
    try:
        yield
    finally:
        stop(process)


def start_responder(popen: Callable[..., NamespaceProcess], name: str, addresses: str, ports: str) -> NamespaceProcess:
    return start_server(popen, "responder.py", name, addresses, ports)


def start_server(popen: Callable[..., NamespaceProcess], script: str, *arguments: str) -> NamespaceProcess:
    """Start a script of this folder, and wait until it says that it is ready."""
    process = popen([sys.executable, str(HERE / script), *arguments], stdout=subprocess.PIPE)
    assert process.stdout
    with process.stdout as output:
        assert output.readline() == b"ready\n"
    return process


def stop(process: NamespaceProcess) -> None:
    process.kill()
    process.wait(timeout=10)


def allow_ping(network: PodNetwork) -> None:
    """Allow group 0 to send echo requests from an unprivileged socket, IPv4 and IPv6."""
    network.run(["sysctl", "-qw", "net.ipv4.ping_group_range=0 0"])
