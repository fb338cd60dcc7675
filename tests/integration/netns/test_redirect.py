"""The rules in pods with special networks, and the content of the files."""

import re
from pathlib import Path

import contract
from testing.pods import PodNetwork
from tests.integration.netns.backends import REDIRECT, Backend, build_iptables
from tests.integration.netns.checks import EC2, IPV4, IPV6, SendProbes, build_probes

ADDRESSES = contract.METADATA_ADDRESSES
NO_IPV6 = ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")


def test_port_80_is_refused_while_no_sidecar_listens(
    backend: Backend, plain: PodNetwork, send_probes: SendProbes
) -> None:
    backend.load(plain)

    results = send_probes(plain, *build_probes("tcp", ADDRESSES, 80))

    assert results == ["ECONNREFUSED"] * 5


def test_rules_of_both_backends_work_together(
    backend: Backend, network: PodNetwork, tmp_path: Path, send_probes: SendProbes
) -> None:
    """An operator changes PODROLE_REDIRECT_BACKEND; a pod that keeps its sandbox gets both."""
    other = tmp_path / "other"
    other.mkdir()
    build_iptables(other, "nft").load(network)

    backend.load(network)

    assert send_probes(network, *build_probes("tcp", ADDRESSES, 80, 443)) == ["sidecar", "ECONNREFUSED"] * 5


def test_rules_load_in_pod_without_ipv6(backend: Backend, network: PodNetwork, send_probes: SendProbes) -> None:
    network.run(["sysctl", "-qw", *NO_IPV6])

    backend.load(network)

    assert send_probes(network, *build_probes("tcp", IPV4, 80, 8080)) == ["sidecar", "ECONNREFUSED"] * 3
    assert send_probes(network, *build_probes("tcp", IPV6, 80, 8080)) == ["EADDRNOTAVAIL"] * 4


def test_rules_load_in_pod_with_ipv4_on_loopback_only(
    backend: Backend, network: PodNetwork, plain: PodNetwork, send_probes: SendProbes
) -> None:
    for pod in (network, plain):
        pod.run(["ip", "-4", "addr", "flush", "dev", "eth0"])

    backend.load(network)

    assert send_probes(network, *build_probes("tcp", IPV6, 80, 8080)) == ["sidecar", "ECONNREFUSED"] * 2
    assert send_probes(network, *build_probes("tcp", IPV4, 80)) == ["ENETUNREACH"] * 3
    assert send_probes(plain, *build_probes("tcp", IPV6, 80)) == ["node"] * 2


def test_ipv4_added_after_the_rules_is_redirected(
    backend: Backend, network: PodNetwork, send_probes: SendProbes
) -> None:
    """For example a second network that is attached later."""
    network.run(["ip", "-4", "addr", "flush", "dev", "eth0"])
    backend.load(network)

    network.run(["ip", "addr", "add", f"{network.ipv4}/16", "dev", "eth0"])
    network.run(["ip", "route", "add", "0.0.0.0/0", "via", "10.77.0.1"])

    assert send_probes(network, *build_probes("tcp", IPV4, 80, 8080)) == ["sidecar", "ECONNREFUSED"] * 3


def test_rule_files_use_the_contracts_addresses_and_variables() -> None:
    for file in REDIRECT.glob("*.*"):
        if file.suffix not in {".nft", ".rules"}:
            continue
        text = re.sub(r"#.*", "", file.read_text())

        found = re.findall(r"169\.254\.\d+\.\d+|fd00:[0-9a-f:]*[0-9a-f]", text)

        assert set(found) == set(EC2 if "node" in file.name else ADDRESSES), file.name
        assert str(contract.SIDECAR_PORT) not in text, "port and user are variables"


def test_block_nft_equals_redirect_nft_without_the_redirect() -> None:
    def rules(name: str) -> list[str]:
        lines = (line.partition("# ")[0].strip() for line in (REDIRECT / name).read_text().splitlines())
        return [line for line in lines if line]

    redirect, block = rules("redirect.nft"), rules("block.nft")
    chain = redirect.index("chain to_sidecar {")
    end = redirect.index("}", chain)

    assert [*redirect[:chain], *redirect[end + 1 :]] == block


class TestIptablesEntrypoint:
    def test_missing_ip6tables_is_an_error_with_ipv6(self, network: PodNetwork, tmp_path: Path) -> None:
        backend = build_iptables(tmp_path, "nft", families=("iptables",))

        result = backend.load(network, check=False)

        assert result.returncode == 1
        assert "cannot run ip6tables-restore" in result.stderr
        assert "Use an image that has iptables" in result.stderr

    def test_missing_ip6tables_is_only_logged_without_ipv6(
        self, network: PodNetwork, tmp_path: Path, send_probes: SendProbes
    ) -> None:
        network.run(["sysctl", "-qw", *NO_IPV6, "net.ipv6.conf.lo.disable_ipv6=1"])
        backend = build_iptables(tmp_path, "nft", families=("iptables",))

        result = backend.load(network)

        assert "no IPv6 in this pod, so this is harmless: cannot run ip6tables-restore" in result.stderr
        assert send_probes(network, "tcp/169.254.169.254/80", "tcp/169.254.169.254/443") == ["sidecar", "ECONNREFUSED"]

    def test_missing_ip6tables_is_an_error_if_one_interface_has_ipv6(self, network: PodNetwork, tmp_path: Path) -> None:
        network.run(["sysctl", "-qw", *NO_IPV6, "net.ipv6.conf.eth0.disable_ipv6=0"])
        backend = build_iptables(tmp_path, "nft", families=("iptables",))

        result = backend.load(network, check=False)

        assert result.returncode == 1

    def test_missing_iptables_is_an_error(self, network: PodNetwork, tmp_path: Path) -> None:
        backend = build_iptables(tmp_path, "nft", families=())

        result = backend.load(network, check=False)

        assert result.returncode == 1
        assert "cannot run iptables-restore" in result.stderr
