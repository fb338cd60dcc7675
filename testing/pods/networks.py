"""The node's network: a bridge, and a network namespace per pod, connected by a veth pair. IPv4 and IPv6."""

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
"""The node on the bridge. It is the pods' gateway, so they can reach addresses on the node's loopback."""


@dataclass(frozen=True)
class PodNetwork:
    """A pod's network namespace. It can be used without containers."""

    node: Namespaces
    name: str
    ipv4: str
    ipv6: str

    @property
    def path(self) -> str:
        """The namespace as a file on the node."""
        return f"/run/netns/{self.name}"

    def run(self, argv: Sequence[str], *, check: bool = True, text: str = "") -> CompletedProcess[str]:
        """Run a command on the node in this network namespace."""
        return self.node.run(self.command(argv), check=check, text=text)

    def popen(self, argv: Sequence[str], *, stdout: int | None = None) -> NamespaceProcess:
        """Start a process on the node in this network namespace."""
        return self.node.popen(self.command(argv), stdout=stdout)

    def remove(self) -> None:
        """Remove the namespace. It disappears with its last process."""
        self.node.run(["ip", "netns", "delete", self.name])

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` in this network namespace."""
        return ["nsenter", f"--net={self.path}", "--", *argv]


def has_ipv6() -> bool:
    """Whether this kernel was booted with IPv6 (`ipv6.disable=1` disables it in every namespace)."""
    return Path("/proc/sys/net/ipv6").exists()


def add_bridge(node: Namespaces) -> None:
    """Create the bridge with the node's addresses.

    It gets a fixed hardware address. Otherwise a bridge uses the lowest one of its ports, which a new pod could change:
    the neighbour tables of other pods would be stale.
    """
    bridge = f"link add podrole0 address {BRIDGE_MAC} type bridge"
    run_batch(node, [bridge, *build_addresses("podrole0", 1), "link set podrole0 up"])


def add_network(node: Namespaces, name: str, number: int) -> PodNetwork:
    """Create the network namespace of the pod with this number (from 1), with addresses, routes and loopback."""
    network = PodNetwork(node, name, str(NETWORK4[number + 1]), str(NETWORK6[number + 1]))
    pair = f"link add pod{number} type veth peer name eth0 netns {name}"
    run_batch(node, [f"netns add {name}", pair, f"link set pod{number} master podrole0 addrgenmode none up"])
    addresses = ["link set lo up", *build_addresses("eth0", number + 1), "link set eth0 up"]
    routes = [f"route add 0.0.0.0/0 via {NODE_IPV4}", *([f"route add ::/0 via {NODE_IPV6}"] if has_ipv6() else [])]
    run_batch(node, [*addresses, *routes], "-n", name)
    return network


def build_addresses(device: str, number: int) -> list[str]:
    """The `ip` commands that add the addresses with this number to a device.

    All IPv6 addresses are set here, with nodad, also the link-local one that routers use for neighbour discovery:
    duplicate address detection would make them unusable for a second or two.
    """
    ipv6 = [
        f"link set {device} addrgenmode none",
        f"addr add {LINK6[number]}/{LINK6.prefixlen} dev {device} nodad",
        f"addr add {NETWORK6[number]}/{NETWORK6.prefixlen} dev {device} nodad",
    ]
    return [f"addr add {NETWORK4[number]}/{NETWORK4.prefixlen} dev {device}", *(ipv6 if has_ipv6() else [])]


def add_address(node: Namespaces, address: str) -> None:
    """Add an address to the node, as real nodes have the metadata service's."""
    suffix = "/128 dev lo nodad" if isinstance(ip_address(address), IPv6Address) else "/32 dev lo"
    run_batch(node, [f"addr add {address}{suffix}"])


def run_batch(node: Namespaces, lines: Sequence[str], *options: str) -> None:
    """Run several `ip` commands in one process."""
    node.run(["ip", *options, "-batch", "-"], text="\n".join(lines) + "\n")
