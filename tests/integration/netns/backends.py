"""The ways to load the rules, each as a user of it would: nft on its file, and the entrypoint over either iptables."""

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
"""On the node's own /run: it goes away with the node."""
EMPTY_TABLES = "*filter\nCOMMIT\n*nat\nCOMMIT\n"


@dataclass(frozen=True)
class Backend:
    """The commands that load the rules, by what kind of pod they are for, that show every rule, and that remove all."""

    name: str
    commands: Mapping[str, tuple[str, ...]]
    """`redirect`, `block` and `node`, the redirect that lets the sidecar's user pass."""
    dump: tuple[tuple[str, ...], ...]
    clear: tuple[tuple[str, ...], ...]

    def load(
        self, network: PodNetwork, kind: str = "redirect", *, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        return network.run(self.commands[kind], check=check)

    def rules(self, network: PodNetwork) -> list[str]:
        """Every rule, also those of others, without times and counters."""
        lines = [line for command in self.dump for line in network.run(command).stdout.splitlines()]
        return [COUNTERS.sub("", line) for line in lines if not line.startswith("#")]

    def remove_all(self, network: PodNetwork) -> None:
        """Take every rule away, also those of others."""
        for command in self.clear:
            network.run(command, text=EMPTY_TABLES)

    def find_missing_table(self, network: PodNetwork | Node) -> str:
        """What the kernel says when it has not the tables; empty when it has."""
        tried = [network.run([*command, "-t", "nat"], check=False) for command in self.dump]
        return " ".join(result.stderr.strip() for result in tried if result.returncode)


def build_nftables(repository: Path = ROOT) -> Backend:
    """`repository` is where sidecar/redirect with the rules is."""
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
    """`directory` becomes a PATH in which `iptables` is this variant, whatever the machine has chosen."""
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
