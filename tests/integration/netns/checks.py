"""What can be reached from where, as one table: checks that hold for every way to load the rules.

docs/redirect.md shows the table to people, and a test compares the two.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import contract
from testing.pods import PodNetwork

NEIGHBOUR = "169.254.20.10"
"""Link-local like the metadata addresses, but NodeLocal DNS: none of our business."""

IPV4 = tuple(address for address in contract.METADATA_ADDRESSES if ":" not in address)
IPV6 = tuple(address for address in contract.METADATA_ADDRESSES if ":" in address)
EC2 = ("169.254.169.254", "fd00:ec2::254")
NOT_EC2 = tuple(address for address in contract.METADATA_ADDRESSES if address not in EC2)
FAMILIES = {"IPv4": IPV4, "IPv6": IPV6}

POD, SIDECAR, NESTED = "pod", "sidecar", "nested"
"""Who asks: any process of the pod, the sidecar's user, a container inside of the pod (docker-in-docker)."""

REFUSED = frozenset({"ECONNREFUSED", "EPERM"})
"""A refusal at once: of the answer, or already of one's own packet. TCP must hear the first."""

Ask = Callable[..., list[str]]


@dataclass(frozen=True)
class Check:
    """Questions that all have the same answer, under each kind of rules."""

    name: str
    asker: str
    questions: tuple[str, ...]
    answers: Mapping[str, str]
    """By kind of rules; `refused` stands for REFUSED."""

    def find_wrong(self, kind: str, given: Iterable[str]) -> dict[str, str]:
        """The questions that were answered otherwise, with what was said."""
        wanted = self.answers[kind]
        right = {wanted} if wanted != "refused" else {"ECONNREFUSED"} if "TCP" in self.name else REFUSED
        return {context: answer for context, answer in zip(self.questions, given, strict=True) if answer not in right}


def build_table() -> tuple[Check, ...]:
    """All checks, of both families, in the order of the documentation."""
    return (
        *(check for family in FAMILIES for check in build_checks(family, POD)),
        Check("TCP 80 by a mapped address", POD, ask_all("tcp", [f"::ffff:{a}" for a in IPV4], 80), SERVED),
        Check("a neighbouring address", POD, tuple(f"{kind}/{NEIGHBOUR}/80" for kind in ("tcp", "udp")), OPEN),
        Check("TCP 80 of EC2's service", SIDECAR, ask_all("tcp", EC2, 80), {**SERVED, "node": "node"}),
        Check("TCP 80 of the other three", SIDECAR, ask_all("tcp", NOT_EC2, 80), SERVED),
        Check("other TCP ports", SIDECAR, ask_all("tcp", EC2, 443, 8080), CLOSED),
        Check("UDP", SIDECAR, ask_all("udp", EC2, 80), CLOSED),
        *(check for family in FAMILIES for check in build_checks(family, NESTED)),
    )


def build_checks(family: str, asker: str) -> tuple[Check, ...]:
    """What is asked in the same way of both families, from inside of the pod and from a container in it."""
    addresses = FAMILIES[family]
    http = SERVED if asker == POD else CLOSED
    return (
        Check(f"TCP 80, {family}", asker, ask_all("tcp", addresses, 80), http),
        Check(f"other TCP ports, {family}", asker, ask_all("tcp", addresses, 443, 8080), CLOSED),
        Check(f"UDP, {family}", asker, ask_all("udp", addresses, 80, 443, 8080), CLOSED),
        Check(f"ping, {family}", asker, tuple(f"icmp/{address}" for address in addresses), {**CLOSED, "plain": "echo"}),
        Check(f"another protocol (SCTP), {family}", asker, ask_all("raw", addresses, 132), CLOSED),
        Check(f"DNS over TCP, {family}", asker, ask_all("tcp", addresses, 53), OPEN),
        Check(f"DNS over UDP, {family}", asker, ask_all("udp", addresses, 53), OPEN),
    )


def ask_all(kind: str, addresses: Iterable[str], *ports: int) -> tuple[str, ...]:
    return tuple(f"{kind}/{address}/{port}" for address in addresses for port in ports)


OPEN = dict.fromkeys(("plain", "redirect", "block", "node"), "node")
CLOSED = {**dict.fromkeys(OPEN, "refused"), "plain": "node"}
SERVED = {"plain": "node", "redirect": "sidecar", "block": "refused", "node": "sidecar"}
CHECKS = build_table()


def probe(networks: Mapping[str, PodNetwork], kind: str, ask: Ask) -> dict[str, dict[str, str]]:
    """Ask everything; the checks that do not hold, by `asker: name`, with what was answered instead."""
    found = {}
    for asker, network in networks.items():
        checks = [check for check in CHECKS if check.asker == asker]
        uid = contract.SIDECAR_UID if asker == SIDECAR else 0
        answers = iter(ask(network, *(context for check in checks for context in check.questions), uid=uid))
        for check in checks:
            wrong = check.find_wrong(kind, [next(answers) for _ in check.questions])
            if wrong:
                found[f"{asker}: {check.name}"] = wrong
    return found
