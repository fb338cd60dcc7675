"""What each client can reach, as one table of checks that hold for every way to load the rules.

docs/redirect.md contains the table, and a test compares the two.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import contract
from testing.pods import NODE_IPV4, NODE_IPV6, PodNetwork

NEIGHBOUR = "169.254.20.10"
"""Link-local like the metadata addresses, but NodeLocal DNS: the rules must not affect it."""

NESTED_GATEWAY = "10.78.0.1"
"""The pod's address on the network of its nested container."""

IPV4 = tuple(address for address in contract.METADATA_ADDRESSES if ":" not in address)
IPV6 = tuple(address for address in contract.METADATA_ADDRESSES if ":" in address)
EC2 = ("169.254.169.254", "fd00:ec2::254")
NOT_EC2 = tuple(address for address in contract.METADATA_ADDRESSES if address not in EC2)
FAMILIES = {"IPv4": IPV4, "IPv6": IPV6}

NAT64 = ("64:ff9b::a9fe:a9fe", "64:ff9b::a9fe:aa02", "64:ff9b::a9fe:aa17")
"""The IPv4 addresses behind a NAT64 gateway with the well-known prefix, RFC 6052."""

STRICT_AND_LOOSE = (f"lsrr={NODE_IPV4}", f"ssrr={NODE_IPV4}")
LOOSE = (f"lsrr={NODE_IPV4}", f"lsrr={NESTED_GATEWAY}")
"""Source routes by the node, and for a nested container also by the pod. It has no strict ones: a strict route has only
neighbours of each hop."""

POD, SIDECAR, NESTED = "pod", "sidecar", "nested"
"""The clients: any process of the pod, the sidecar's user, a container inside the pod (docker-in-docker)."""

REJECTIONS = frozenset({"ECONNREFUSED", "EPERM"})
"""Immediate errors: by a reset or ICMP error, or already for the sent packet. TCP must get the first."""

SendProbes = Callable[..., list[str]]
"""Sends probes from a network, see the fixture `send_probes`."""


@dataclass(frozen=True)
class Check:
    """Probes of one client that all have the same result."""

    name: str
    client: str
    probes: tuple[str, ...]
    expected: Mapping[str, str]
    """The result for each kind of rules; `refused` means REJECTIONS, and `dropped` no response."""

    def find_failed(self, kind: str, results: Iterable[str]) -> dict[str, str]:
        """Return the probes with another result, and that result."""
        expected = self.expected[kind]
        rejections = {"ECONNREFUSED"} if "TCP" in self.name else REJECTIONS
        allowed = {"refused": rejections, "dropped": {"silence"}}.get(expected, {expected})
        return {probe: result for probe, result in zip(self.probes, results, strict=True) if result not in allowed}


def build_table() -> tuple[Check, ...]:
    """All checks, in the order of the documentation."""
    return (
        *(check for family in FAMILIES for check in build_checks(family, POD)),
        Check("TCP 80 by a mapped address", POD, build_probes("tcp", [f"::ffff:{a}" for a in IPV4], 80), REDIRECTED),
        Check("a neighbouring address", POD, tuple(f"{kind}/{NEIGHBOUR}/80" for kind in ("tcp", "udp")), OPEN),
        *build_routed_checks(POD),
        Check("TCP 80 of EC2's service", SIDECAR, build_probes("tcp", EC2, 80), {**REDIRECTED, "node": "node"}),
        Check("TCP 80 of the other three", SIDECAR, build_probes("tcp", NOT_EC2, 80), REDIRECTED),
        Check("other TCP ports", SIDECAR, build_probes("tcp", EC2, 443, 8080), REJECTED),
        Check("UDP", SIDECAR, build_probes("udp", EC2, 80), REJECTED),
        *(check for family in FAMILIES for check in build_checks(family, NESTED)),
        *build_routed_checks(NESTED),
    )


def build_checks(family: str, client: str) -> tuple[Check, ...]:
    """The checks that both families and both the pod and nested containers have."""
    addresses = FAMILIES[family]
    ping = tuple(f"icmp/{address}" for address in addresses)
    return (
        Check(
            f"TCP 80, {family}", client, build_probes("tcp", addresses, 80), REDIRECTED if client == POD else REJECTED
        ),
        Check(f"other TCP ports, {family}", client, build_probes("tcp", addresses, 443, 8080), REJECTED),
        Check(f"UDP, {family}", client, build_probes("udp", addresses, 80, 443, 8080), REJECTED),
        Check(f"ping, {family}", client, ping, {**REJECTED, "plain": "echo"}),
        Check(f"another protocol (SCTP), {family}", client, build_probes("raw", addresses, 132), REJECTED),
        Check(f"DNS over TCP, {family}", client, build_probes("tcp", addresses, 53), OPEN),
        Check(f"DNS over UDP, {family}", client, build_probes("udp", addresses, 53), OPEN),
    )


def build_routed_checks(client: str) -> tuple[Check, ...]:
    """Packets with IPv4 options, with an IPv6 routing header, or to an address that a gateway translates."""
    hops = {"IPv4": STRICT_AND_LOOSE if client == POD else LOOSE, "IPv6": (f"srh={NODE_IPV6}",)}

    def by_source_route(kind: str, family: str) -> tuple[str, ...]:
        return tuple(f"{probe}/{hop}" for probe in build_probes(kind, FAMILIES[family], 80) for hop in hops[family])

    # A reset would not reach the socket: it comes from the router's address. UDP gets the kernel's error on sending.
    tcp = [Check(f"TCP by a source route, {f}", client, by_source_route("tcp", f), DROPPED) for f in FAMILIES]
    expected = REJECTED if client == POD else DROPPED
    udp = [Check(f"UDP by a source route, {f}", client, by_source_route("udp", f), expected) for f in FAMILIES]
    return (
        *(tcp if client == POD else []),
        *udp,
        Check("UDP with Router Alert", client, (f"udp/{NEIGHBOUR}/80/alert=",), OPEN),
        Check("TCP 80 by NAT64", client, build_probes("tcp", NAT64, 80), REJECTED),
    )


def build_probes(kind: str, addresses: Iterable[str], *ports: int) -> tuple[str, ...]:
    return tuple(f"{kind}/{address}/{port}" for address in addresses for port in ports)


OPEN = dict.fromkeys(("plain", "redirect", "block", "node"), "node")
REJECTED = {**dict.fromkeys(OPEN, "refused"), "plain": "node"}
DROPPED = {**dict.fromkeys(OPEN, "dropped"), "plain": "node"}
REDIRECTED = {"plain": "node", "redirect": "sidecar", "block": "refused", "node": "sidecar"}
CHECKS = build_table()


def find_failed_checks(
    networks: Mapping[str, PodNetwork], kind: str, send_probes: SendProbes, only: str | None = None
) -> dict[str, dict[str, str]]:
    """Send the probes of all checks, or of one; return the failed checks by `client: name`."""
    all_failed = {}
    for client, network in networks.items():
        checks = [check for check in CHECKS if check.client == client and only in (None, f"{client}: {check.name}")]
        if not checks:
            continue
        uid = contract.SIDECAR_UID if client == SIDECAR else 0
        results = iter(send_probes(network, *(probe for check in checks for probe in check.probes), uid=uid))
        for check in checks:
            if failed := check.find_failed(kind, [next(results) for _ in check.probes]):
                all_failed[f"{client}: {check.name}"] = failed
    return all_failed
