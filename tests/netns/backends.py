"""The ways to load the rules, each as a user of it would: nft on its file, and the entrypoint over either iptables."""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import contract
from demo.pods import PodNetwork
from demo.pods.namespaces import SEARCH_PATH

REPOSITORY = Path(__file__).parents[2]
REDIRECT = REPOSITORY / "sidecar/redirect"
FAMILIES = ("iptables", "ip6tables")
COUNTERS = re.compile(r" \[\d+:\d+\]$")
LOCK_FILE = "XTABLES_LOCKFILE=/run/xtables.lock"
"""On the node's own /run: it goes away with the node."""


@dataclass(frozen=True)
class Backend:
    """The commands that load the rules, and those that show every rule of the network."""

    redirect: tuple[str, ...]
    block: tuple[str, ...]
    dump: tuple[tuple[str, ...], ...]

    def load(self, network: PodNetwork, *, block: bool = False, check: bool = True) -> subprocess.CompletedProcess[str]:
        return network.run(self.block if block else self.redirect, check=check)

    def rules(self, network: PodNetwork) -> list[str]:
        """Every rule, also those of others, without times and counters."""
        lines = [line for command in self.dump for line in network.run(command).stdout.splitlines()]
        return [COUNTERS.sub("", line) for line in lines if not line.startswith("#")]

    def find_missing_table(self, network: PodNetwork) -> str:
        """What the kernel says when it has not the tables; empty when it has."""
        tried = [network.run([*command, "-t", "nat"], check=False) for command in self.dump]
        return " ".join(result.stderr.strip() for result in tried if result.returncode)


def build_nftables() -> Backend:
    return Backend(
        redirect=("nft", "-D", f"listen={contract.SIDECAR_PORT}", "-f", str(REDIRECT / "redirect.nft")),
        block=("nft", "-f", str(REDIRECT / "block.nft")),
        dump=(("nft", "list", "ruleset"),),
    )


def build_iptables(directory: Path, variant: str, families: Sequence[str] = FAMILIES) -> Backend:
    """`directory` becomes a PATH in which `iptables` is this variant, whatever the machine has chosen."""
    for family in families:
        for suffix in ("", "-restore", "-save"):
            program = shutil.which(f"{family}-{variant}{suffix}", path=SEARCH_PATH)
            (directory / f"{family}{suffix}").symlink_to(str(program))
    environment = ("/usr/bin/env", LOCK_FILE, f"PATH={directory}", f"PYTHONPATH={REPOSITORY}")
    entrypoint = (*environment, sys.executable, "-m", "sidecar.redirect")
    return Backend(
        redirect=(*entrypoint, "--listen", str(contract.SIDECAR_PORT)),
        block=(*entrypoint, "--block"),
        dump=tuple(("/usr/bin/env", LOCK_FILE, str(directory / f"{family}-save")) for family in families),
    )
