"""Error messages when the rules cannot be loaded; docs/redirect.md lists each with what to do."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import contract
from contract.redirect_remedies import NO_LEGACY4, NO_LEGACY6, NO_NETLINK, NO_NETLINK_ALLOWED, find_remedy
from testing.pods import Image, Node, PodError, PodNetwork, build_image
from testing.repository import ROOT
from tests.integration.netns.backends import REDIRECT, Backend, build_iptables, build_nftables
from tests.integration.netns.checks import SendProbes
from tests.integration.netns.conftest import HERE, build_backend

DOCUMENT = (ROOT / "docs/redirect.md").read_text()
RunFailing = Callable[..., str]

NFT = ("nft", "-D", f"listen={contract.SIDECAR_PORT}", "-f", contract.REDIRECT_RULES)
IPTABLES = ("python3", "-m", "sidecar.redirect", "--listen", str(contract.SIDECAR_PORT))
WITHOUT = (sys.executable, str(HERE / "deny_syscall.py"))


@pytest.fixture
def run_failing(node: Node, image: Image) -> RunFailing:
    """Run a redirect container that fails; return its log, which is also its termination message."""

    def run_failing(
        command: tuple[str, ...], *add: str, uid: int = contract.REDIRECT_UID, with_image: Image = image
    ) -> str:
        security: dict[str, Any] = {
            "runAsUser": uid,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": list(add)},
        }
        redirect = {"name": "podrole-redirect", "image": "podrole", "command": command, "securityContext": security}
        app = {"name": "app", "image": "podrole", "command": ["true"]}
        spec = {"initContainers": [redirect], "containers": [app]}
        with node.pod({"metadata": {"name": "fails"}, "spec": spec}, {"podrole": with_image}) as pod:
            with pytest.raises(PodError):
                pod.start()
            assert pod.container("app").exit_code is None, "the app must not start without the rules"
            return pod.logs("podrole-redirect")

    return run_failing


def test_nft_without_net_admin_does_not_start(run_failing: RunFailing) -> None:
    log = run_failing(NFT)

    assert "exec /usr/sbin/nft: operation not permitted" in log
    assert "`exec /usr/sbin/nft: operation not permitted`" in DOCUMENT


@pytest.fixture
def real_uids(node: Node) -> None:
    """Skip in a user namespace, where every uid is 0."""
    if node.single_user:
        pytest.skip("every uid is 0 in a user namespace: run as root")


@pytest.mark.usefixtures("real_uids")
def test_nft_without_file_capability_fails(run_failing: RunFailing) -> None:
    log = run_failing(NFT, "NET_ADMIN", with_image=build_image(ROOT))

    assert "cache initialization failed: Operation not permitted" in log
    assert "`cache initialization failed: Operation not permitted`" in DOCUMENT


@pytest.mark.usefixtures("real_uids")
def test_nft_run_by_a_shell_fails(run_failing: RunFailing) -> None:
    log = run_failing(("sh", "-c", " ".join(NFT)), "NET_ADMIN")

    assert "cache initialization failed: Operation not permitted" in log


@pytest.mark.parametrize(
    ("command", "message"),
    [
        pytest.param(("nft", "-f", contract.REDIRECT_RULES), "unknown identifier 'listen'", id="port-not-defined"),
        pytest.param(
            ("nft", "-f", "/etc/podrole/absent.nft"), 'Could not open file "/etc/podrole/absent.nft"', id="file-missing"
        ),
        pytest.param(
            ("nft", "-f", "/etc/podrole/redirect-node.nft"),
            "File not found: redirect.nft",
            id="include-directory-missing",
        ),
    ],
)
def test_incomplete_nft_command_error_names_the_cause(
    run_failing: RunFailing, command: tuple[str, ...], message: str
) -> None:
    log = run_failing(command, "NET_ADMIN")

    assert message in log
    assert f"`{message.replace('absent', '...')}`" in DOCUMENT


@pytest.mark.parametrize(
    ("uid", "add", "missing"),
    [
        pytest.param(0, ("NET_ADMIN",), "NET_RAW", id="no-net-raw"),
        pytest.param(0, ("NET_RAW",), "NET_ADMIN", id="no-net-admin"),
        pytest.param(0, (), "NET_ADMIN and NET_RAW", id="no-capabilities"),
        pytest.param(contract.REDIRECT_UID, ("NET_ADMIN", "NET_RAW"), "NET_ADMIN and NET_RAW", id="not-root"),
    ],
)
def test_iptables_entrypoint_reports_the_missing_capability(
    node: Node, run_failing: RunFailing, uid: int, add: tuple[str, ...], missing: str
) -> None:
    if uid and node.single_user:
        pytest.skip("every uid is 0 in a user namespace: run as root")

    log = run_failing(IPTABLES, *add, uid=uid)

    assert f"iptables needs {missing}, which this container lacks: runAsUser must be 0" in log
    assert "capabilities.add must have NET_ADMIN and NET_RAW" in log


def test_nft_reports_a_kernel_without_nf_tables(network: PodNetwork, plain: PodNetwork) -> None:
    backend = build_nftables()

    result = network.run([*WITHOUT, "nf_tables", *backend.commands["redirect"]], check=False)

    assert result.returncode != 0
    assert "Unable to initialize Netlink socket: Protocol not supported" in result.stderr
    assert "`Unable to initialize Netlink socket: Protocol not supported`" in DOCUMENT
    assert backend.load(plain).returncode == 0


@pytest.mark.parametrize(
    ("feature", "name", "remedy"),
    [
        pytest.param("nf_tables", "nft", NO_NETLINK, id="iptables-nft-no-netlink"),
        pytest.param("netlink", "nft", NO_NETLINK_ALLOWED, id="iptables-nft-denied-by-seccomp"),
        pytest.param("ip_tables", "legacy", NO_LEGACY4, id="legacy-no-table"),
        pytest.param("ip6_tables", "legacy", NO_LEGACY6, id="legacy-no-ipv6-table"),
    ],
)
def test_iptables_error_has_the_remedy(
    network: PodNetwork, tmp_path: Path, feature: str, name: str, remedy: str
) -> None:
    backend = build_backend(f"iptables-{name}", tmp_path, network)

    result = network.run([*WITHOUT, feature, *backend.commands["redirect"]], check=False)

    assert result.returncode == 1
    assert remedy in result.stderr


@pytest.mark.parametrize(
    ("feature", "remedy"),
    [
        pytest.param("nf_tables", NO_NETLINK, id="no-netlink"),
        pytest.param("netlink", NO_NETLINK_ALLOWED, id="denied-by-seccomp"),
    ],
)
def test_nft_error_leads_to_a_remedy(network: PodNetwork, feature: str, remedy: str) -> None:
    result = network.run([*WITHOUT, feature, *build_nftables().commands["redirect"]], check=False)

    assert find_remedy(result.stderr) == remedy


def test_nft_quotes_the_comment_that_says_which_module_to_load(network: PodNetwork, tmp_path: Path) -> None:
    """Another chain of that name makes the line fail, as the absent module would."""
    network.run(
        ["nft", "add table inet podrole; add chain inet podrole to_sidecar { type filter hook input priority 0; }"]
    )
    lines = (REDIRECT / "redirect.nft").read_text().replace("\ndelete table inet podrole\n", "\n")
    (tmp_path / "redirect.nft").write_text(lines)

    result = network.run(["nft", "-D", "listen=1", "-f", str(tmp_path / "redirect.nft")], check=False)

    assert "Could not process rule" in result.stderr
    assert "Load nft_chain_nat and nf_nat on the node" in result.stderr


def test_iptables_nft_without_nf_tables_reports_program_file_and_table(
    network: PodNetwork, plain: PodNetwork, tmp_path: Path
) -> None:
    backend = build_iptables(tmp_path, "nft")

    result = network.run([*WITHOUT, "nf_tables", *backend.commands["redirect"]], check=False)

    assert result.returncode == 1
    assert "iptables-restore could not load block.rules into table filter: " in result.stderr
    assert "Failed to initialize nft: Protocol not supported" in result.stderr
    assert "load its modules (iptable_nat, ip6table_nat or nft_chain_nat; xt_bpf and ip6t_rt)" in result.stderr
    assert backend.load(plain).returncode == 0


def test_iptables_legacy_works_without_nf_tables(
    node: Node, network: PodNetwork, tmp_path: Path, send_probes: SendProbes
) -> None:
    backend = build_backend("iptables-legacy", tmp_path, node)

    network.run([*WITHOUT, "nf_tables", *backend.commands["redirect"]])

    assert send_probes(network, "tcp/169.254.169.254/80", "tcp/169.254.169.254/443") == ["sidecar", "ECONNREFUSED"]


@pytest.mark.parametrize("options", ["size=4k,ro", "nr_inodes=1"], ids=["read-only", "no-inodes"])
def test_iptables_legacy_needs_no_file_in_shared_memory(
    node: Node, network: PodNetwork, tmp_path: Path, send_probes: SendProbes, options: str
) -> None:
    backend = build_backend("iptables-legacy", tmp_path, node)
    program, lock_file, *rest = backend.commands["redirect"]
    assert lock_file.startswith("XTABLES_LOCKFILE=")
    mount = f'mount -t tmpfs -o {options} tmpfs /dev/shm; exec "$@"'

    network.run(["unshare", "--mount", "sh", "-ec", mount, "sh", program, *rest])

    assert send_probes(network, "tcp/169.254.169.254/80", "tcp/169.254.169.254/443") == ["sidecar", "ECONNREFUSED"]


def test_iptables_legacy_without_its_table_reports_program_file_and_table(
    node: Node, network: PodNetwork, plain: PodNetwork, tmp_path: Path
) -> None:
    backend = build_backend("iptables-legacy", tmp_path, node)

    result = network.run([*WITHOUT, "ip_tables", *backend.commands["redirect"]], check=False)

    assert result.returncode == 1
    assert "iptables-restore could not load block.rules into table filter: " in result.stderr
    assert "unable to initialize table 'filter'" in result.stderr
    assert "or set PODROLE_REDIRECT_BACKEND=nftables" in result.stderr
    assert backend.load(plain).returncode == 0


BYPASS = """\
#!/bin/sh
{real} "$@" || exit
case "$*" in *-I*) {real} -I OUTPUT 1 -p tcp -j ACCEPT ;; esac
"""
HOSTILE_PROGRAM = """\
#!/bin/sh
printf '\\033[2J\\nforged \\377' >&2
/usr/bin/head -c 1000000 /dev/zero | /usr/bin/tr '\\0' x >&2
exit 1
"""
DROP = "{ type filter hook postrouting priority 0; policy drop; }"


@pytest.fixture
def bypassing(tmp_path: Path) -> Backend:
    """The entrypoint, where a rule before ours accepts every TCP connection as soon as ours are loaded.

    It stands for a runtime or an eBPF program that keeps connections away from netfilter.
    """
    backend = build_iptables(tmp_path, "nft")
    for family in ("iptables", "ip6tables"):
        real = (tmp_path / family).readlink()
        (tmp_path / family).unlink()
        (tmp_path / family).write_text(BYPASS.format(real=real))
        (tmp_path / family).chmod(0o755)
    return backend


def test_iptables_rules_that_are_not_in_effect_fail_with_each_open_address(
    bypassing: Backend, network: PodNetwork
) -> None:
    result = bypassing.load(network, "block", check=False)

    assert result.returncode == 1
    assert "the rules are loaded, but they are not in effect" in result.stderr
    for address in contract.METADATA_ADDRESSES:
        for port in (80, 8080):
            assert f"{address} port {port}: connected" in result.stderr


def test_verification_of_the_redirect_is_left_to_the_sidecar(bypassing: Backend, network: PodNetwork) -> None:
    assert bypassing.load(network, "redirect").stderr == ""


def test_iptables_rules_in_a_network_that_drops_packets_must_still_refuse_at_once(
    bypassing: Backend, network: PodNetwork
) -> None:
    network.run(["nft", f"add table inet away; add chain inet away out {DROP}"])

    result = bypassing.load(network, "block", check=False)

    assert result.returncode == 1
    assert "169.254.169.254 port 80: timed out" in result.stderr


def test_iptables_rules_in_a_pod_without_routes_are_in_effect(network: PodNetwork, tmp_path: Path) -> None:
    network.run(["ip", "route", "flush", "default"])
    network.run(["ip", "-6", "route", "flush", "default"])

    result = build_iptables(tmp_path, "nft").load(network, "block")

    assert result.stderr == ""


class TestIptablesPrograms:
    """Errors of the entrypoint."""

    def test_missing_iptables_program_is_named(self, network: PodNetwork, tmp_path: Path) -> None:
        backend = build_iptables(tmp_path, "nft")
        (tmp_path / "iptables").unlink()

        result = backend.load(network, check=False)

        assert result.returncode == 1
        assert "cannot run iptables: " in result.stderr
        assert "Use an image that has iptables, or set PODROLE_REDIRECT_BACKEND=nftables" in result.stderr

    def test_error_with_control_characters_is_one_line_of_printable_text(
        self, network: PodNetwork, tmp_path: Path
    ) -> None:
        backend = build_iptables(tmp_path, "nft")
        (tmp_path / "iptables-restore").unlink()
        (tmp_path / "iptables-restore").write_text(HOSTILE_PROGRAM)
        (tmp_path / "iptables-restore").chmod(0o755)

        result = backend.load(network, check=False)

        assert result.returncode == 1
        assert "could not load block.rules into table filter: \\x1b[2J forged \\xff" in result.stderr
        assert result.stderr.count("\n") == 1
        assert len(result.stderr) < 2000

    def test_kernel_error_names_chain_and_table(self, network: PodNetwork, tmp_path: Path) -> None:
        network.run(["nft", "add table ip nat"])
        network.run(["nft", "add chain ip nat OUTPUT { type filter hook output priority 0; }"])

        result = build_iptables(tmp_path, "nft").load(network, check=False)

        assert result.returncode == 1
        assert "podrole-redirect: iptables could not insert into chain OUTPUT of table nat: " in result.stderr

    @pytest.mark.parametrize(
        ("arguments", "missing"),
        [
            pytest.param((), "--listen PORT", id="none"),
            pytest.param(("--listen", "16925", "--block"), "--listen PORT", id="both"),
            pytest.param(("--listen", "many"), "--listen PORT", id="port-not-a-number"),
            pytest.param(
                ("--block", "--sidecar-uid", "16925"), "--sidecar-uid requires --listen PORT", id="uid-without-listen"
            ),
        ],
    )
    def test_arguments_must_select_exactly_one_mode(
        self, network: PodNetwork, tmp_path: Path, arguments: tuple[str, ...], missing: str
    ) -> None:
        entrypoint = build_iptables(tmp_path, "nft").commands["block"][:-1]

        result = network.run([*entrypoint, *arguments], check=False)

        assert result.returncode == 2
        assert missing in result.stderr
