"""The rules files, rule by rule, and the check that fails without each of them, as docs/redirect.md says."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from testing.repository import ROOT
from tests.integration.netns.backends import REDIRECT

KINDS = {"redirect": "redirect", "block": "block", "redirect-node": "node"}
"""The stem of a file's name -> the kind of rules that it adds to."""

NOT_RULES = re.compile(r"define |type |table .*\{$|chain .*\{$|\}$|\*|:|COMMIT$|#|$")
"""What declares a table, a chain or an address. A chain cannot be taken away from under its rules."""

CHAIN = re.compile(r"chain (\w+) \{$|insert rule inet podrole (\w+) |(?:-[46] )?-[AI] (\S+) ")
ROW = re.compile(r"\| (?P<chain>\S*) *\| `(?P<text>.+?)` \| (?P<why>.+) \| (?P<check>.+) \|$")


@dataclass(frozen=True)
class Rule:
    """One line of a file."""

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
    """Each rule of a file, with the number of its line from 0."""
    chain = ""
    for number, line in enumerate(file.read_text().splitlines()):
        text = line.strip()
        if found := CHAIN.match(text):
            chain = next(name for name in found.groups() if name)
        if not NOT_RULES.match(text):
            yield number, Rule(file.name, chain, text)


def load_checks() -> dict[Rule, str]:
    """The documentation's tables: rule -> the check that fails without it."""
    checks, file = {}, ""
    for line in (ROOT / "docs/redirect.md").read_text().splitlines():
        if line.startswith("### `"):
            file = line.split("`")[1]
        elif found := ROW.match(line):
            checks[Rule(file, found["chain"], found["text"])] = found["check"]
    return checks


def copy_without(rule: Rule, directory: Path) -> Path:
    """A copy of our files in which one rule is missing, as a repository of its own."""
    file = copy_all(directory) / rule.file
    removed = next(number for number, found in number_rules(file) if found == rule)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:removed], *lines[removed + 1 :], ""]))
    return directory


def copy_without_address(name: str, address: str, directory: Path) -> Path:
    """A copy of our files in which one address is missing from the lists of one of them."""
    file = copy_all(directory) / name
    exact = rf"{re.escape(address)}(?![0-9a-f])"
    file.write_text(re.sub(rf"(?<!\S){exact}, |, {exact}|(?<=[ ]){exact},|,{exact}", "", file.read_text()))
    return directory


def copy_all(directory: Path) -> Path:
    redirect = directory / "sidecar/redirect"
    shutil.copytree(REDIRECT, redirect, ignore=shutil.ignore_patterns("__pycache__"))
    (directory / "sidecar/__init__.py").touch()
    return redirect
