"""Loads the rules through iptables and ip6tables: `python3 -m sidecar.redirect --listen 16925`, or `--block`.

For kernels without nf_tables, and for operators who audit iptables rules. The default is nft, which needs no Python.
Runs as root with NET_ADMIN and NET_RAW: a file capability would not pass through the interpreter to two programs.
"""

from contract.termination import exit_on_signals
from sidecar.errors import TERMINATED

if __name__ == "__main__":
    exit_on_signals(TERMINATED)

import argparse
import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from contract.redirect_remedies import NO_NETLINK, find_remedy
from contract.text import escape, quote
from server.descriptors import explain_refusal
from sidecar.deadlines import IPTABLES_LOCK_SECONDS, IPTABLES_SECONDS
from sidecar.output import write_note
from sidecar.redirect.lock import hold_lock
from sidecar.redirect.rejection_check import HTTP_PORT, OTHER_PORT, find_reachable

HERE = Path(__file__).parent
FAMILIES = ("iptables", "ip6tables")

BLOCK_RULES = ("block.rules",)
REDIRECT_RULES = (*BLOCK_RULES, "redirect.rules")
NODE_RULES = (*REDIRECT_RULES, "redirect-node.rules")
"""The files for each kind of pod, in order. A chain that a file declares is flushed and filled atomically."""

JUMPS = re.compile(r"^:(PODROLE-(OUTPUT|FORWARD)) ", re.MULTILINE)
"""Declared chains with such a name: the built-in chain after the dash must jump to them."""

CAPABILITIES = {"NET_ADMIN": 12, "NET_RAW": 13}
"""Bit numbers in CapEff: https://man7.org/linux/man-pages/man7/capabilities.7.html."""

# The legacy variant creates its lock in /run, which a read-only root forbids; the nf_tables variant locks nothing.
# A file of the image needs no space and no writable directory. `hold_lock` is for runs in other containers.
LOCK_FILE = HERE / "block.rules"
MAX_ERROR_LENGTH = 1000


class RulesError(Exception):
    """The rules are not loaded: the message names the program, the table, the kernel's error, and what to do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Load the rules; return 0 if all are loaded."""
    parser = argparse.ArgumentParser(prog="python3 -m sidecar.redirect", description="Load the rules through iptables.")
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--listen", type=int, metavar="PORT", help="redirect to the sidecar on this port of loopback")
    mode.add_argument("--block", action="store_true", help="reject the metadata addresses, for a pod without a role")
    parser.add_argument("--sidecar-uid", type=int, metavar="UID", help="unsafe: let this user reach the node's service")
    arguments = parser.parse_args(argv)
    if arguments.block and arguments.sidecar_uid is not None:
        parser.error("--sidecar-uid requires --listen PORT: a pod without a role has no sidecar")
    files = BLOCK_RULES if arguments.block else REDIRECT_RULES if arguments.sidecar_uid is None else NODE_RULES
    try:
        check_capabilities(Path("/proc/self/status").read_text())
        rules = {name: Template((HERE / name).read_text()).substitute(vars(arguments)) for name in files}
        with hold_lock():
            for family in FAMILIES:
                load_family(family, rules)
        if arguments.block:  # a redirect is verified by the sidecar, after the proxy of a service mesh may have started
            verify_rejections()
    except RulesError as error:
        write_note(f"podrole-redirect: {escape(str(error))}")
        return 1
    return 0


def verify_rejections() -> None:
    """Raise RulesError if a connection to a metadata address is not refused at once: then no rule applies to it."""
    try:
        reachable = find_reachable((HTTP_PORT, OTHER_PORT))
    except OSError as error:
        reason = explain_refusal(error)
        raise RulesError(f"the rules are loaded, but whether they are in effect is unknown: {reason}") from error
    if reachable:
        places = "; ".join(f"{place}: {what}" for place, what in reachable.items())
        raise RulesError(
            f"the rules are loaded, but they are not in effect. These connections were not refused at once: {places}. "
            "The pod's runtime or an eBPF program does not pass its connections through netfilter: use another "
            "RuntimeClass, or set PODROLE_MODE=env"
        )


def load_family(family: str, files: Mapping[str, str]) -> None:
    """Load one family's rules, by file name. Errors of ip6tables are ignored if the pod has no IPv6."""
    try:
        for name, rules in files.items():
            tables = re.findall(r"^\*(\w+)", rules, re.MULTILINE)
            restore = [f"{family}-restore", "--wait", str(IPTABLES_LOCK_SECONDS), "--noflush"]
            run_program(restore, f"load {name} into table {' and '.join(tables)}", rules)
            for chain, parent in JUMPS.findall(rules):
                add_jump(family, tables[0], chain, parent)
    except RulesError as error:
        if family != "ip6tables" or not is_ipv6_off():
            raise
        write_note(f"podrole-redirect: no IPv6 in this pod, so this is harmless: {error}")


def add_jump(family: str, table: str, chain: str, parent: str) -> None:
    """Insert the jump to our chain first: after a mesh's catch-all rule it would never be reached."""
    command = [family, "--wait", str(IPTABLES_LOCK_SECONDS), "-t", table]
    if not is_success([*command, "-C", parent, "-j", chain]):
        run_program([*command, "-I", parent, "1", "-j", chain], f"insert into chain {parent} of table {table}")


def run_program(command: Sequence[str], purpose: str, rules: str = "") -> None:
    """Run a program of iptables; raise RulesError with the purpose and the program's error."""
    try:
        result = run(command, rules)
    except OSError as error:
        raise RulesError(
            f"cannot run {command[0]}: {error.strerror}. "
            "Use an image that has iptables, or set PODROLE_REDIRECT_BACKEND=nftables"
        ) from None
    except subprocess.TimeoutExpired:
        raise RulesError(f"{command[0]} could not {purpose} within {IPTABLES_SECONDS} s") from None
    if result.returncode:
        raise RulesError(f"{command[0]} could not {purpose}: {describe_error(result.stderr)}")


def describe_error(text: str) -> str:
    """Return a program's error on one line of printable text, and what to do."""
    shown = quote(" ".join(text.split()), MAX_ERROR_LENGTH)
    remedy = find_remedy(text)
    other = "" if remedy == NO_NETLINK else " or set PODROLE_REDIRECT_BACKEND=nftables"
    return (
        f"{shown}. {remedy}{'. ' if remedy else ''}If the node's kernel has no such table, load its modules "
        f"(iptable_nat, ip6table_nat or nft_chain_nat; xt_bpf and ip6t_rt){other}"
    )


def is_success(command: Sequence[str]) -> bool:
    """Whether the command exits with 0; False if it does not exist."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return run(command).returncode == 0
    return False


def run(command: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program with `text` as its standard input; raise OSError or TimeoutExpired."""
    return subprocess.run(
        command,
        input=text,
        capture_output=True,
        encoding="utf-8",
        errors="backslashreplace",
        check=False,
        env=build_environment(),
        timeout=IPTABLES_SECONDS,
    )


def build_environment() -> Mapping[str, str]:
    """Return the environment of the programs."""
    return {"XTABLES_LOCKFILE": str(LOCK_FILE), **os.environ}


def check_capabilities(status: str) -> None:
    """Raise RulesError if the text of /proc/self/status lacks a capability."""
    effective = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    missing = [name for name, bit in CAPABILITIES.items() if not effective >> bit & 1]
    if missing:
        raise RulesError(
            f"iptables needs {' and '.join(missing)}, which this container lacks: runAsUser must be 0 and "
            f"capabilities.add must have {' and '.join(CAPABILITIES)}"
        )


def is_ipv6_off(settings: Path = Path("/proc/sys/net/ipv6/conf")) -> bool:
    """Whether IPv6 is disabled on all interfaces of this network namespace, and on those added later.

    Without the directory the kernel has no IPv6; otherwise every `disable_ipv6`, `default` among them, must be 1.
    """
    return all(path.read_text().strip() == "1" for path in settings.glob("*/disable_ipv6"))


if __name__ == "__main__":
    sys.exit(main())
