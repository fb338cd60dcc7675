"""Real rules in real network namespaces; beside each refusal a plain network reaches the same address and port."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import contract
from demo.pods import Node, PodNetwork
from tests.netns.backends import REDIRECT, Backend, build_iptables
from tests.netns.conftest import NEIGHBOUR, Ask

ADDRESSES = contract.METADATA_ADDRESSES
REFUSED = {"ECONNREFUSED", "EPERM"}
"""What a sender of UDP or ICMP hears at once: of the answer, or already of its own packet."""
NO_IPV6 = ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")


def questions(kind: str, *ports: int) -> list[str]:
    return [f"{kind}/{address}/{port}" for port in ports for address in ADDRESSES]


def pings() -> list[str]:
    return [f"icmp/{address}" for address in ADDRESSES]


def test_port_80_of_every_metadata_address_reaches_the_sidecar(
    backend: Backend, network: PodNetwork, plain: PodNetwork, ask: Ask
) -> None:
    backend.load(network)

    answers = ask(network, *questions("tcp", 80))

    assert answers == ["sidecar"] * 5
    assert ask(plain, *questions("tcp", 80)) == ["node"] * 5


def test_every_other_port_and_protocol_is_refused_at_once(
    backend: Backend, network: PodNetwork, plain: PodNetwork, ask: Ask
) -> None:
    others = [*questions("tcp", 443, 8080), *questions("udp", 80, 443, 8080)]
    backend.load(network)

    answers = ask(network, *others, *pings())

    assert answers[:10] == ["ECONNREFUSED"] * 10
    assert REFUSED.issuperset(answers[10:])
    assert ask(plain, *others, *pings()) == ["node"] * 25 + ["echo"] * 5


def test_names_can_still_be_resolved_at_the_metadata_addresses(backend: Backend, network: PodNetwork, ask: Ask) -> None:
    backend.load(network)

    answers = ask(network, *questions("tcp", 53), *questions("udp", 53))

    assert answers == ["node"] * 10


def test_port_80_is_refused_at_once_while_no_sidecar_listens(backend: Backend, plain: PodNetwork, ask: Ask) -> None:
    backend.load(plain)

    answers = ask(plain, *questions("tcp", 80))

    assert answers == ["ECONNREFUSED"] * 5


def test_other_addresses_are_left_alone(backend: Backend, network: PodNetwork, ask: Ask) -> None:
    backend.load(network)

    answers = ask(network, f"tcp/{NEIGHBOUR}/80", f"udp/{NEIGHBOUR}/8080", f"icmp/{NEIGHBOUR}", "tcp/::1/16925")

    assert answers == ["node", "node", "echo", "sidecar"]


def test_loading_twice_changes_nothing(backend: Backend, network: PodNetwork, ask: Ask) -> None:
    backend.load(network)
    once = backend.rules(network)

    backend.load(network)

    assert backend.rules(network) == once
    assert any("169.254.169.254" in line for line in once)
    assert any("fd00:ec2::254" in line for line in once)
    assert ask(network, *questions("tcp", 80)) == ["sidecar"] * 5


def test_block_refuses_all_but_names(backend: Backend, network: PodNetwork, plain: PodNetwork, ask: Ask) -> None:
    others = [*questions("tcp", 80, 443), *questions("udp", 80)]
    backend.load(network, block=True)

    answers = ask(network, *others, *pings())

    assert answers[:10] == ["ECONNREFUSED"] * 10
    assert REFUSED.issuperset(answers[10:])
    assert ask(plain, *others, *pings()) == ["node"] * 15 + ["echo"] * 5
    assert ask(network, *questions("tcp", 53), *questions("udp", 53)) == ["node"] * 10


def test_block_loaded_twice_changes_nothing(backend: Backend, network: PodNetwork) -> None:
    backend.load(network, block=True)
    once = backend.rules(network)

    backend.load(network, block=True)

    assert backend.rules(network) == once


@pytest.fixture
def nested(node: Node, network: PodNetwork) -> Iterator[PodNetwork]:
    """A container inside of the pod, as docker-in-docker makes it: its packets are forwarded by the pod's network."""
    inner = PodNetwork(node, f"{network.name}-nested", "10.78.0.2", "fd00:78::2")
    node.run(["ip", "netns", "add", inner.name])
    outside = [
        f"link add inner type veth peer name eth0 netns {inner.name}",
        "addr add 10.78.0.1/24 dev inner",
        "addr add fd00:78::1/64 dev inner nodad",
        "link set inner up",
    ]
    inside = [
        "link set lo up",
        f"addr add {inner.ipv4}/24 dev eth0",
        f"addr add {inner.ipv6}/64 dev eth0 nodad",
        "link set eth0 up",
        "route add 0.0.0.0/0 via 10.78.0.1",
        "route add ::/0 via fd00:78::1",
    ]
    network.run(["ip", "-batch", "-"], text="\n".join(outside) + "\n")
    inner.run(["ip", "-batch", "-"], text="\n".join(inside) + "\n")
    network.run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])
    inner.run(["sysctl", "-qw", "net.ipv4.ping_group_range=0 0"])
    routes = [f"route add 10.78.0.0/24 via {network.ipv4}", f"route add fd00:78::/64 via {network.ipv6}"]
    node.run(["ip", "-batch", "-"], text="\n".join(routes) + "\n")
    yield inner
    inner.remove()
    node.run(["ip", "-batch", "-"], text="\n".join(routes).replace("add", "delete") + "\n")


@pytest.mark.parametrize("block", [False, True])
def test_containers_inside_of_the_pod_are_refused_too(
    backend: Backend, network: PodNetwork, nested: PodNetwork, ask: Ask, *, block: bool
) -> None:
    everything = [*questions("tcp", 80, 8080), *questions("udp", 80), *pings()]
    before = ask(nested, *everything)

    backend.load(network, block=block)

    assert before == ["node"] * 15 + ["echo"] * 5
    assert ask(nested, *everything) == ["ECONNREFUSED"] * 20
    assert ask(nested, *questions("tcp", 53), *questions("udp", 53)) == ["node"] * 10


def test_rules_of_others_stay_and_ours_come_first(backend: Backend, network: PodNetwork, ask: Ask) -> None:
    program = backend.dump[0]
    if program == ("nft", "list", "ruleset"):
        network.run(["nft", "add table ip mesh"])
        network.run(["nft", "add chain ip mesh out { type nat hook output priority -100; }"])
        network.run(["nft", "add rule ip mesh out meta l4proto tcp redirect to :15001"])
    else:
        iptables = [*program[:-1], program[-1].removesuffix("-save")]
        network.run([*iptables, "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "15001"])
    foreign = [line for line in backend.rules(network) if "15001" in line]

    backend.load(network)

    assert len(foreign) == 1
    assert [line for line in backend.rules(network) if "15001" in line] == foreign
    assert ask(network, *questions("tcp", 80)) == ["sidecar"] * 5


def test_pod_without_ipv6_gets_its_rules(backend: Backend, network: PodNetwork, ask: Ask) -> None:
    network.run(["sysctl", "-qw", *NO_IPV6])

    backend.load(network)

    assert ask(network, *questions("tcp", 80, 8080)) == [
        *["sidecar"] * 3,
        *["EADDRNOTAVAIL"] * 2,
        *["ECONNREFUSED"] * 3,
        *["EADDRNOTAVAIL"] * 2,
    ]


def test_ports_and_addresses_in_the_files_are_those_of_the_contract() -> None:
    for file in REDIRECT.glob("*.*"):
        if file.suffix not in {".nft", ".rules"}:
            continue
        text = re.sub(r"#.*", "", file.read_text())

        found = re.findall(r"169\.254\.\d+\.\d+|fd00:[0-9a-f:]*[0-9a-f]", text)

        assert set(found) == set(ADDRESSES), file.name
        assert str(contract.SIDECAR_PORT) not in text, "the port is a variable"


def test_block_nft_is_redirect_nft_without_the_redirect() -> None:
    def rules(name: str) -> list[str]:
        return [
            line.strip() for line in (REDIRECT / name).read_text().splitlines() if line.strip()[:1] not in {"", "#"}
        ]

    redirect, block = rules("redirect.nft"), rules("block.nft")
    chain = redirect.index("chain to_sidecar {")
    end = redirect.index("}", chain)

    assert [*redirect[:chain], *redirect[end + 1 :]] == block


class TestIptablesEntrypoint:
    def test_missing_ip6tables_is_an_error_while_the_pod_has_ipv6(self, network: PodNetwork, tmp_path: Path) -> None:
        backend = build_iptables(tmp_path, "nft", families=("iptables",))

        result = backend.load(network, check=False)

        assert result.returncode == 1
        assert "cannot run ip6tables-restore" in result.stderr
        assert "The image must have iptables" in result.stderr

    def test_missing_ip6tables_is_told_and_harmless_where_ipv6_is_off(
        self, network: PodNetwork, tmp_path: Path, ask: Ask
    ) -> None:
        network.run(["sysctl", "-qw", *NO_IPV6, "net.ipv6.conf.lo.disable_ipv6=1"])
        backend = build_iptables(tmp_path, "nft", families=("iptables",))

        result = backend.load(network)

        assert "no IPv6 in this pod, so this is harmless: cannot run ip6tables-restore" in result.stderr
        assert ask(network, "tcp/169.254.169.254/80", "tcp/169.254.169.254/443") == ["sidecar", "ECONNREFUSED"]

    def test_one_interface_with_ipv6_makes_a_missing_ip6tables_an_error(
        self, network: PodNetwork, tmp_path: Path
    ) -> None:
        network.run(["sysctl", "-qw", *NO_IPV6, "net.ipv6.conf.eth0.disable_ipv6=0"])
        backend = build_iptables(tmp_path, "nft", families=("iptables",))

        result = backend.load(network, check=False)

        assert result.returncode == 1

    def test_missing_iptables_is_an_error(self, network: PodNetwork, tmp_path: Path) -> None:
        backend = build_iptables(tmp_path, "nft", families=())

        result = backend.load(network, check=False)

        assert result.returncode == 1
        assert "cannot run iptables-restore" in result.stderr

    def test_kernel_that_refuses_names_program_table_and_remedy(self, network: PodNetwork, tmp_path: Path) -> None:
        network.run(["nft", "add table ip nat"])
        network.run(["nft", "add chain ip nat OUTPUT { type filter hook output priority 0; }"])
        backend = build_iptables(tmp_path, "nft")

        result = backend.load(network, check=False)

        assert result.returncode == 1
        assert "podrole-redirect: iptables could not change table nat: " in result.stderr
        assert "or choose `redirect: nftables`" in result.stderr

    @pytest.mark.parametrize("arguments", [(), ("--listen", "16925", "--block"), ("--listen", "many")])
    def test_arguments_must_name_one_mode(
        self, network: PodNetwork, tmp_path: Path, arguments: tuple[str, ...]
    ) -> None:
        entrypoint = build_iptables(tmp_path, "nft").block[:-1]

        result = network.run([*entrypoint, *arguments], check=False)

        assert result.returncode == 2
        assert "--listen PORT" in result.stderr
