"""With the rules of a service mesh, which captures every TCP connection: in both orders, with every backend."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import contract
from testing.pods import Node, PodNetwork
from tests.integration.netns.backends import FAMILIES, Backend, build_nftables
from tests.integration.netns.checks import EC2, SendProbes, build_probes
from tests.integration.netns.conftest import build_backend, start_responder, stop

MESH_UID = 1337
"""The user of the mesh's proxy, whose connections the mesh's rules skip."""

NFT_MESH = f"""
table inet mesh {{
    chain out {{
        type nat hook output priority -100;
        meta skuid {MESH_UID} return
        meta l4proto tcp redirect to :15001
    }}
}}
"""
HTTP = build_probes("tcp", contract.METADATA_ADDRESSES, 80)
OTHER = build_probes("tcp", contract.METADATA_ADDRESSES, 8080)


@pytest.fixture(params=["nftables", "iptables-nft", "iptables-legacy"])
def mesh(request: pytest.FixtureRequest, node: Node, tmp_path: Path) -> Callable[[PodNetwork], Backend]:
    """Return a function that loads the mesh's rules, as istio-init does, and returns the backend that lists them."""

    def load(network: PodNetwork) -> Backend:
        directory = tmp_path / "mesh"
        directory.mkdir()
        lister = build_backend(request.param, directory, node)
        if lister.name == "nftables":
            network.run(["nft", "-f", "-"], text=NFT_MESH)
            return lister
        for family in FAMILIES:
            command = [*lister.dump[0][:-1], str(directory / family), "-t", "nat", "-A", "OUTPUT", "-p", "tcp"]
            if not node.single_user:
                network.run([*command, "-m", "owner", "--uid-owner", str(MESH_UID), "-j", "RETURN"])
            network.run([*command, "-j", "REDIRECT", "--to-ports", "15001"])
        return lister

    return load


@pytest.fixture
def meshed(network: PodNetwork) -> Iterator[PodNetwork]:
    """The pod's network, in which the mesh's proxy responds with `mesh`."""
    proxy = start_responder(network.popen, "mesh", "127.0.0.1,::1", "15001")
    yield network
    stop(proxy)


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours-first", "mesh-first"])
def test_mesh_keeps_its_rules_and_does_not_reach_the_node(
    backend: Backend,
    mesh: Callable[[PodNetwork], Backend],
    meshed: PodNetwork,
    send_probes: SendProbes,
    *,
    ours_first: bool,
) -> None:
    if ours_first:
        backend.load(meshed)
    lister = mesh(meshed)
    before = [line for line in lister.rules(meshed) if "15001" in line or str(MESH_UID) in line]
    alone = [] if ours_first else send_probes(meshed, *HTTP)
    if not ours_first:
        backend.load(meshed)

    results = send_probes(meshed, *HTTP, *OTHER)

    assert alone in ([], ["mesh"] * 5)
    assert [line for line in lister.rules(meshed) if "15001" in line or str(MESH_UID) in line] == before
    assert before
    assert set(results[:5]) in ({"sidecar"}, {"mesh"})
    assert set(results[5:]) <= {"mesh", "ECONNREFUSED"}
    if backend.name in {"nftables", lister.name}:
        assert set(results[:5]) == {"sidecar"}


def test_mesh_proxy_does_not_reach_the_node(
    backend: Backend, mesh: Callable[[PodNetwork], Backend], meshed: PodNetwork, send_probes: SendProbes
) -> None:
    """The proxy forwards an app's connection to port 8080 as its own user, which the mesh's rules skip."""
    if meshed.node.single_user:
        pytest.skip("every uid is 0 in a user namespace: run as root")
    mesh(meshed)
    before = send_probes(meshed, *HTTP, *OTHER, uid=MESH_UID)

    backend.load(meshed)

    assert before == ["node"] * 10
    assert send_probes(meshed, *HTTP, *OTHER, uid=MESH_UID) == ["sidecar"] * 5 + ["ECONNREFUSED"] * 5


def test_mesh_does_not_capture_the_sidecar_with_source_node(
    mesh: Callable[[PodNetwork], Backend], meshed: PodNetwork, send_probes: SendProbes
) -> None:
    if meshed.node.single_user:
        pytest.skip("every uid is 0 in a user namespace: run as root")
    mesh(meshed)
    before = send_probes(meshed, *build_probes("tcp", EC2, 80), uid=contract.SIDECAR_UID)

    build_nftables().load(meshed, "node")

    assert before == ["mesh"] * 2
    assert send_probes(meshed, *build_probes("tcp", EC2, 80), uid=contract.SIDECAR_UID) == ["node"] * 2
