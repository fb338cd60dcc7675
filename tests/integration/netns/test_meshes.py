"""Beside the rules of a service mesh, which takes every TCP connection: whoever wrote first, by whatever program."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import contract
from testing.pods import Node, PodNetwork
from tests.integration.netns.backends import FAMILIES, Backend, build_nftables
from tests.integration.netns.checks import EC2, Ask, ask_all
from tests.integration.netns.conftest import build_backend, listen, stop

MESH_UID = 1337
"""The mesh's proxy, whose own connections its rules leave alone."""

NFT_MESH = f"""
table inet mesh {{
    chain out {{
        type nat hook output priority -100;
        meta skuid {MESH_UID} return
        meta l4proto tcp redirect to :15001
    }}
}}
"""
HTTP = ask_all("tcp", contract.METADATA_ADDRESSES, 80)
OTHER = ask_all("tcp", contract.METADATA_ADDRESSES, 8080)


@pytest.fixture(params=["nftables", "iptables-nft", "iptables-legacy"])
def mesh(request: pytest.FixtureRequest, node: Node, tmp_path: Path) -> Callable[[PodNetwork], Backend]:
    """Writes the mesh's rules, as istio-init does; gives what shows them."""

    def write(network: PodNetwork) -> Backend:
        directory = tmp_path / "mesh"
        directory.mkdir()
        shown = build_backend(request.param, directory, node)
        if shown.name == "nftables":
            network.run(["nft", "-f", "-"], text=NFT_MESH)
            return shown
        for family in FAMILIES:
            command = [*shown.dump[0][:-1], str(directory / family), "-t", "nat", "-A", "OUTPUT", "-p", "tcp"]
            if not node.single_user:
                network.run([*command, "-m", "owner", "--uid-owner", str(MESH_UID), "-j", "RETURN"])
            network.run([*command, "-j", "REDIRECT", "--to-ports", "15001"])
        return shown

    return write


@pytest.fixture
def meshed(network: PodNetwork) -> Iterator[PodNetwork]:
    """The pod's network, in which the mesh's proxy answers `mesh`."""
    proxy = listen(network.popen, "mesh", "127.0.0.1,::1", "15001")
    yield network
    stop(proxy)


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours-first", "mesh-first"])
def test_mesh_keeps_its_rules_and_does_not_reach_the_node(
    backend: Backend, mesh: Callable[[PodNetwork], Backend], meshed: PodNetwork, ask: Ask, *, ours_first: bool
) -> None:
    if ours_first:
        backend.load(meshed)
    shown = mesh(meshed)
    before = [line for line in shown.rules(meshed) if "15001" in line or str(MESH_UID) in line]
    alone = [] if ours_first else ask(meshed, *HTTP)
    if not ours_first:
        backend.load(meshed)

    answers = ask(meshed, *HTTP, *OTHER)

    assert alone in ([], ["mesh"] * 5)
    assert [line for line in shown.rules(meshed) if "15001" in line or str(MESH_UID) in line] == before
    assert before
    assert set(answers[:5]) in ({"sidecar"}, {"mesh"})
    assert set(answers[5:]) <= {"mesh", "ECONNREFUSED"}
    if backend.name in {"nftables", shown.name}:
        assert set(answers[:5]) == {"sidecar"}


def test_mesh_proxy_does_not_reach_the_node(
    backend: Backend, mesh: Callable[[PodNetwork], Backend], meshed: PodNetwork, ask: Ask
) -> None:
    """It passes on what an app sent to port 8080, from a user whom its own rules let through."""
    if meshed.node.single_user:
        pytest.skip("every uid is one in a user namespace: run as root")
    mesh(meshed)
    before = ask(meshed, *HTTP, *OTHER, uid=MESH_UID)

    backend.load(meshed)

    assert before == ["node"] * 10
    assert ask(meshed, *HTTP, *OTHER, uid=MESH_UID) == ["sidecar"] * 5 + ["ECONNREFUSED"] * 5


def test_mesh_does_not_capture_the_sidecar_with_source_node(
    mesh: Callable[[PodNetwork], Backend], meshed: PodNetwork, ask: Ask
) -> None:
    if meshed.node.single_user:
        pytest.skip("every uid is one in a user namespace: run as root")
    mesh(meshed)
    before = ask(meshed, *ask_all("tcp", EC2, 80), uid=contract.SIDECAR_UID)

    build_nftables().load(meshed, "node")

    assert before == ["mesh"] * 2
    assert ask(meshed, *ask_all("tcp", EC2, 80), uid=contract.SIDECAR_UID) == ["node"] * 2
