"""A node in namespaces of its own, with a stand-in for the metadata services that every pod can reach."""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import contract
from demo.pods import Image, Node, PodNetwork, UnavailableError, build_image, has_ipv6
from demo.pods.namespaces import SEARCH_PATH, NamespaceProcess
from tests.netns.backends import REPOSITORY, Backend, build_iptables, build_nftables

HERE = Path(__file__).parent
PORTS = "53,80,443,8080"
NEIGHBOUR = "169.254.20.10"
"""Link-local like the metadata addresses, but NodeLocal DNS: none of our business."""

Ask = Callable[..., list[str]]


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """A node where all metadata addresses answer `node`."""
    if not has_ipv6():
        pytest.skip("the kernel was booted without IPv6: remove ipv6.disable=1 from its command line")
    with contextlib.ExitStack() as stack:
        try:
            node = stack.enter_context(Node())
        except UnavailableError as error:
            pytest.skip(str(error))
        addresses = (*contract.METADATA_ADDRESSES, NEIGHBOUR)
        for address in addresses:
            node.add_address(address)
        listen(node.popen, "node", ",".join(addresses), PORTS)
        yield node


@pytest.fixture(scope="session")
def image(node: Node) -> Image:
    return build_image(REPOSITORY, node.nft)


@pytest.fixture
def network(node: Node) -> Iterator[PodNetwork]:
    """A pod's network, where the sidecar's port answers `sidecar`."""
    network = node.network("pod")
    allow_ping(network)
    process = listen(network.popen, "sidecar", "127.0.0.1,::1", str(contract.SIDECAR_PORT))
    yield network
    stop(process)
    network.remove()


@pytest.fixture
def plain(node: Node) -> Iterator[PodNetwork]:
    """A network beside it, without rules: the proof that what the other cannot reach is there."""
    network = node.network("plain")
    allow_ping(network)
    yield network
    network.remove()


@pytest.fixture
def ask() -> Ask:
    """Ask addresses from a network: `ask(network, "tcp/169.254.169.254/80")`."""

    def ask(network: PodNetwork, *questions: str) -> list[str]:
        answers: list[str] = json.loads(network.run([sys.executable, str(HERE / "ask.py"), *questions]).stdout)
        return answers

    return ask


@pytest.fixture(params=["nftables", "iptables-nft", "iptables-legacy"])
def backend(request: pytest.FixtureRequest, tmp_path: Path, network: PodNetwork) -> Backend:
    """Each way to load the rules; all tests that ask for it hold for every one."""
    if request.param == "nftables":
        return build_nftables()
    variant = request.param.removeprefix("iptables-")
    if not shutil.which(f"iptables-{variant}", path=SEARCH_PATH):
        pytest.skip(f"missing program: iptables-{variant}. As root: apt-get install -y iptables")
    backend = build_iptables(tmp_path, variant)
    if variant == "legacy":
        refused = backend.find_missing_table(network)
        if refused:
            pytest.skip(f"the kernel has no legacy tables: {refused}. As root: modprobe -a iptable_nat ip6table_nat")
    return backend


def listen(popen: Callable[..., NamespaceProcess], name: str, addresses: str, ports: str) -> NamespaceProcess:
    process = popen([sys.executable, str(HERE / "listen.py"), name, addresses, ports], stdout=subprocess.PIPE)
    assert process.stdout
    with process.stdout as output:
        assert output.readline() == b"ready\n"
    return process


def stop(process: NamespaceProcess) -> None:
    process.kill()
    process.wait(timeout=10)


def allow_ping(network: PodNetwork) -> None:
    """Group 0 may send echo requests from an ordinary socket, v4 and v6."""
    network.run(["sysctl", "-qw", "net.ipv4.ping_group_range=0 0"])
