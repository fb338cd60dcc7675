"""Source routes that a process cannot set as a socket's option: forged IPv4 options, and IPv6 extension headers.

checks.py has the ordinary ones, by IP_OPTIONS and IPV6_RTHDR.
"""

import sys

import pytest

from testing.pods import NODE_IPV4, NODE_IPV6, Node, PodNetwork
from tests.integration.netns.backends import Backend, build_nftables
from tests.integration.netns.checks import EC2, REJECTIONS, SendProbes
from tests.integration.netns.conftest import HERE

SEND_HEADERS = [sys.executable, str(HERE / "raw_headers.py")]

FORGED = ("lsrr", "ssrr", "lsrr-pointer-8", "lsrr-after-nops", "lsrr-then-unknown-option", "alert-then-lsrr")

PARSING_RULE = """
table inet parser {
    chain output {
        type filter hook output priority filter
        ip option lsrr exists drop
    }
}
"""


def send(network: PodNetwork, way: str) -> str:
    hop, target = (NODE_IPV6, EC2[1]) if way.startswith("ipv6") else (NODE_IPV4, EC2[0])
    source = network.ipv6 if way.startswith("ipv6") else network.ipv4
    return network.run([*SEND_HEADERS, way, source, hop, target]).stdout


@pytest.mark.parametrize("way", FORGED)
@pytest.mark.parametrize("kind", ["redirect", "block"])
def test_forged_source_route_does_not_reach_the_node(
    backend: Backend, network: PodNetwork, plain: PodNetwork, kind: str, way: str
) -> None:
    backend.load(network, kind)

    assert send(network, way) in REJECTIONS
    assert send(plain, way) == "node"


def test_rule_that_parses_the_options_misses_a_forged_route(network: PodNetwork) -> None:
    """Why the rules compare bytes: the kernel's parser accepts only a pointer that a socket's own option can have."""
    network.run(["nft", "-f", "-"], text=PARSING_RULE)

    assert send(network, "lsrr") in REJECTIONS
    assert send(network, "lsrr-pointer-8") == "node"


def test_any_user_can_send_a_routing_header_but_it_does_not_reach_the_node(
    backend: Backend, node: Node, network: PodNetwork, plain: PodNetwork, send_probes: SendProbes
) -> None:
    if node.single_user:
        pytest.skip("every uid is 0 in a user namespace: run as root")
    probe = f"tcp/{EC2[1]}/80/srh={NODE_IPV6}"
    backend.load(network)

    assert send_probes(plain, probe, uid=1000) == ["node"]
    assert send_probes(network, probe, uid=1000) == ["silence"]


@pytest.mark.parametrize(
    "way", ["ipv6-routing-type-0", "ipv6-routing-type-2", "ipv6-routing-type-3", "ipv6-routing-type-4"]
)
@pytest.mark.parametrize("kind", ["redirect", "block"])
def test_routing_header_of_any_type_is_dropped(
    backend: Backend, network: PodNetwork, plain: PodNetwork, kind: str, way: str
) -> None:
    """Linux forwards types 3 and 4 where they are enabled. Other routers can do so for the obsolete ones."""
    backend.load(network, kind)

    assert send(network, way) in REJECTIONS
    assert send(plain, way) == ("node" if way[-1] == "3" else "silence")


@pytest.mark.parametrize(
    "way",
    ["two-fragments", "ipv6-hop-by-hop", "ipv6-destination-options", "ipv6-atomic-fragment", "ipv6-two-fragments"],
)
@pytest.mark.parametrize("kind", ["redirect", "block"])
def test_fragments_and_extension_headers_do_not_hide_the_port(
    backend: Backend, network: PodNetwork, plain: PodNetwork, kind: str, way: str
) -> None:
    """The packets have UDP port 80, which is refused; a rule that missed the header would let them pass as another."""
    backend.load(network, kind)

    assert send(network, way) in REJECTIONS
    assert send(plain, way) == "node"


def test_tcp_behind_extension_headers_is_redirected(network: PodNetwork, send_probes: SendProbes) -> None:
    """`tcp dport 80` finds the port behind destination options (RFC 8200, section 4.6)."""
    build_nftables().load(network)

    assert send_probes(network, f"tcp/{EC2[1]}/80/padding=") == ["sidecar"]
