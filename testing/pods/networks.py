"""The node's network: a bridge, and for each pod a network namespace joined to it by a veth pair, v4 and v6."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path
from subprocess import CompletedProcess

from testing.pods.namespaces import NamespaceProcess, Namespaces

NETWORK4 = ip_network("10.77.0.0/16")
NETWORK6 = ip_network("fd00:77::/64")
BRIDGE_MAC = "02:00:00:00:77:01"
LINK6 = ip_network("fe80::/64")
NODE_IPV4 = str(NETWORK4[1])
NODE_IPV6 = str(NETWORK6[1])
"""The node on the bridge: its pods' gateway, so an address on the node's loopback is within their reach."""


@dataclass(frozen=True)
class PodNetwork:
    """A pod's network namespace; usable without containers, for what is about the network alone."""

    node: Namespaces
    name: str
    ipv4: str
    ipv6: str

    @property
    def path(self) -> str:
        """The namespace as a file on the node."""
        return f"/run/netns/{self.name}"

    def run(self, argv: Sequence[str], *, check: bool = True, text: str = "") -> CompletedProcess[str]:
        """Run a command of the node in this network."""
        return self.node.run(self.command(argv), check=check, text=text)

    def popen(self, argv: Sequence[str], *, stdout: int | None = None) -> NamespaceProcess:
        """Start a process of the node in this network."""
        return self.node.popen(self.command(argv), stdout=stdout)

    def remove(self) -> None:
        """Take the namespace away; it is gone with its last process."""
        self.node.run(["ip", "netns", "delete", self.name])

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` in this network."""
        return ["nsenter", f"--net={self.path}", "--", *argv]


def has_ipv6() -> bool:
    """Whether this kernel was booted with IPv6 (`ipv6.disable=1` takes it away from every namespace)."""
    return Path("/proc/sys/net/ipv6").exists()


def add_bridge(node: Namespaces) -> None:
    """Make the bridge, with the node's own addresses on it.

    A bridge without a hardware address of its own takes the lowest of its ports': a new pod would then change it under
    the others, whose neighbour tables still hold the old one.
    """
    bridge = f"link add podrole0 address {BRIDGE_MAC} type bridge"
    run_batch(node, [bridge, *build_addresses("podrole0", 1), "link set podrole0 up"])


def add_network(node: Namespaces, name: str, number: int) -> PodNetwork:
    """Make the pod with this number (from 1) a network namespace with addresses, routes and a loopback."""
    network = PodNetwork(node, name, str(NETWORK4[number + 1]), str(NETWORK6[number + 1]))
    pair = f"link add pod{number} type veth peer name eth0 netns {name}"
    run_batch(node, [f"netns add {name}", pair, f"link set pod{number} master podrole0 addrgenmode none up"])
    addresses = ["link set lo up", *build_addresses("eth0", number + 1), "link set eth0 up"]
    routes = [f"route add 0.0.0.0/0 via {NODE_IPV4}", *([f"route add ::/0 via {NODE_IPV6}"] if has_ipv6() else [])]
    run_batch(node, [*addresses, *routes], "-n", name)
    return network


def build_addresses(device: str, number: int) -> list[str]:
    """The lines that give a device the addresses with this number.

    All of the IPv6 ones are ours, with nodad: duplicate address detection would keep them unusable for a second or two,
    the automatic link-local one among them, from which a router asks for its neighbours.
    """
    ipv6 = [
        f"link set {device} addrgenmode none",
        f"addr add {LINK6[number]}/{LINK6.prefixlen} dev {device} nodad",
        f"addr add {NETWORK6[number]}/{NETWORK6.prefixlen} dev {device} nodad",
    ]
    return [f"addr add {NETWORK4[number]}/{NETWORK4.prefixlen} dev {device}", *(ipv6 if has_ipv6() else [])]


def add_address(node: Namespaces, address: str) -> None:
    """Give the node one more address, as the metadata service's are on a real one."""
    suffix = "/128 dev lo nodad" if isinstance(ip_address(address), IPv6Address) else "/32 dev lo"
    run_batch(node, [f"addr add {address}{suffix}"])


def run_batch(node: Namespaces, lines: Sequence[str], *options: str) -> None:
    """Run lines of `ip` commands in one process."""
    node.run(["ip", *options, "-batch", "-"], text="\n".join(lines) + "\n")
