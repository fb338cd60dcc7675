"""The ways to load the rules: nft with its file, and the entrypoint with each variant of iptables."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import contract
from testing.pods import Node, PodNetwork
from testing.pods.namespaces import SEARCH_PATH
from testing.repository import ROOT

REDIRECT = ROOT / "sidecar/redirect"
FAMILIES = ("iptables", "ip6tables")
COUNTERS = re.compile(r" \[\d+:\d+\]$")
LOCK_FILE = "XTABLES_LOCKFILE=/run/xtables.lock"
"""On the node's own /run, which is deleted with the node."""
EMPTY_TABLES = "*filter\nCOMMIT\n*nat\nCOMMIT\n"


@dataclass(frozen=True)
class Backend:
    """Commands to load the rules for each kind of pod, to list all rules, and to delete all rules."""

    name: str
    commands: Mapping[str, tuple[str, ...]]
    """For `redirect`, `block` and `node`, the redirect with source `node`."""
    dump: tuple[tuple[str, ...], ...]
    clear: tuple[tuple[str, ...], ...]

    def load(
        self, network: PodNetwork, kind: str = "redirect", *, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        return network.run(self.commands[kind], check=check)

    def rules(self, network: PodNetwork) -> list[str]:
        """Return all rules in the network, without timestamps and counters."""
        lines = [line for command in self.dump for line in network.run(command).stdout.splitlines()]
        return [COUNTERS.sub("", line) for line in lines if not line.startswith("#")]

    def remove_all(self, network: PodNetwork) -> None:
        """Delete all rules in the network."""
        for command in self.clear:
            network.run(command, text=EMPTY_TABLES)

    def find_missing_table(self, network: PodNetwork | Node) -> str:
        """Return the kernel's error if it lacks the tables, else an empty string."""
        results = [network.run([*command, "-t", "nat"], check=False) for command in self.dump]
        return " ".join(result.stderr.strip() for result in results if result.returncode)


def build_nftables(repository: Path = ROOT) -> Backend:
    """`repository` contains sidecar/redirect with the rules."""
    rules = repository / "sidecar/redirect"
    listen, sidecar_uid = f"listen={contract.SIDECAR_PORT}", f"sidecar_uid={contract.SIDECAR_UID}"
    return Backend(
        "nftables",
        {
            "redirect": ("nft", "-D", listen, "-f", str(rules / "redirect.nft")),
            "block": ("nft", "-f", str(rules / "block.nft")),
            "node": ("nft", "-I", str(rules), "-D", listen, "-D", sidecar_uid, "-f", str(rules / "redirect-node.nft")),
        },
        dump=(("nft", "list", "ruleset"),),
        clear=(("nft", "flush", "ruleset"),),
    )


def build_iptables(
    directory: Path, variant: str, families: Sequence[str] = FAMILIES, repository: Path = ROOT
) -> Backend:
    """`directory` becomes a PATH in which `iptables` is this variant, whatever the machine's default is."""
    for family in families:
        for suffix in ("", "-restore", "-save"):
            program = shutil.which(f"{family}-{variant}{suffix}", path=SEARCH_PATH)
            (directory / f"{family}{suffix}").symlink_to(str(program))
    environment = ("/usr/bin/env", LOCK_FILE, f"PATH={directory}", f"PYTHONPATH={repository}")
    entrypoint = (*environment, sys.executable, "-P", "-m", "sidecar.redirect")
    redirect = (*entrypoint, "--listen", str(contract.SIDECAR_PORT))
    return Backend(
        f"iptables-{variant}",
        {
            "redirect": redirect,
            "block": (*entrypoint, "--block"),
            "node": (*redirect, "--sidecar-uid", str(contract.SIDECAR_UID)),
        },
        dump=tuple(("/usr/bin/env", LOCK_FILE, str(directory / f"{family}-save")) for family in families),
        clear=tuple(("/usr/bin/env", LOCK_FILE, str(directory / f"{family}-restore")) for family in families),
    )
