"""Parses the rule files and the tables of docs/redirect.md, which name the check that fails without each rule."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from testing.repository import ROOT
from tests.integration.netns.backends import REDIRECT

KINDS = {"redirect": "redirect", "block": "block", "redirect-node": "node"}
"""File stem -> kind of rules."""

NOT_RULES = re.compile(r"define |type |table .*\{$|chain .*\{$|\}$|\*|:|COMMIT$|#|$")
"""Lines that declare a table, a chain or an address. A chain cannot be removed without its rules."""

CHAIN = re.compile(r"chain (\w+) \{$|insert rule inet podrole (\w+) |(?:-[46] )?-[AI] (\S+) ")
ROW = re.compile(r"\| (?P<chain>\S*) *\| `(?P<text>.+?)` \| (?P<why>.+) \| (?P<check>.+) \|$")


@dataclass(frozen=True)
class Rule:
    """One rule of a file, with the chain that contains it."""

    file: str
    chain: str
    text: str

    @property
    def kind(self) -> str:
        return KINDS[Path(self.file).stem]


def list_rules() -> list[Rule]:
    files = sorted(path for path in REDIRECT.iterdir() if path.suffix in {".nft", ".rules"})
    return [rule for file in files for _, rule in number_rules(file)]


def number_rules(file: Path) -> Iterator[tuple[int, Rule]]:
    """Yield each rule of a file with its line number, from 0."""
    chain = ""
    for number, line in enumerate(file.read_text().splitlines()):
        text = line.partition(" # ")[0].strip()
        if match := CHAIN.match(text):
            chain = next(name for name in match.groups() if name)
        if not NOT_RULES.match(text):
            yield number, Rule(file.name, chain, text)


def load_checks() -> dict[Rule, str]:
    """Parse the documentation: rule -> the check that fails without it."""
    checks, file = {}, ""
    for line in (ROOT / "docs/redirect.md").read_text().splitlines():
        if line.startswith("### `"):
            file = line.split("`")[1]
        elif match := ROW.match(line):
            checks[Rule(file, match["chain"], match["text"])] = match["check"]
    return checks


def copy_without(rule: Rule, directory: Path) -> Path:
    """Copy the rule files into a new repository, without one rule."""
    file = copy_all(directory) / rule.file
    removed = next(number for number, other in number_rules(file) if other == rule)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:removed], *lines[removed + 1 :], ""]))
    return directory


def copy_without_address(name: str, address: str, directory: Path) -> Path:
    """Copy the rule files, without one address in the lists of one file."""
    file = copy_all(directory) / name
    exact = rf"{re.escape(address)}(?![0-9a-f])"
    file.write_text(re.sub(rf"(?<!\S){exact}, |, {exact}|(?<=[ ]){exact},|,{exact}", "", file.read_text()))
    return directory


def copy_all(directory: Path) -> Path:
    """Copy the rule files and the entrypoint, without its own check."""
    redirect = directory / "sidecar/redirect"
    shutil.copytree(REDIRECT, redirect, ignore=shutil.ignore_patterns("__pycache__"))
    for module in REDIRECT.parent.glob("*.py"):
        (directory / "sidecar" / module.name).symlink_to(module)
    for package in ("contract", "server"):
        (directory / package).symlink_to(ROOT / package)
    (redirect / "rejection_check.py").write_text(
        "HTTP_PORT, OTHER_PORT = 80, 8080\ndef find_reachable(_):\n    return {}\n"
    )
    return redirect
