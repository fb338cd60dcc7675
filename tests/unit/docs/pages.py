"""Reads the repository's Markdown pages."""

import importlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from testing.repository import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("kustomize/**/*.md")])
IDS = [str(page.relative_to(ROOT)) for page in PAGES]

FENCE = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
CONSTANT = re.compile(r"\[`([\w.]+)`\]\(\.\./([\w/.]+\.py)\)")


def read_prose(page: Path) -> str:
    """A page without its blocks of code."""
    return FENCE.sub("", page.read_text())


def find_links(page: Path) -> Iterator[str]:
    """The targets of a page's links to this repository."""
    for target in LINK.findall(CODE.sub("`code`", read_prose(page))):
        if "://" not in target:
            yield target


def list_anchors(page: Path) -> set[str]:
    """The anchors of a page: its own, and those of its headings as GitHub makes them: the second of one ends in -1."""
    seen: Counter[str] = Counter()
    anchors = {*re.findall(r'<a id="([\w-]+)">', page.read_text())}
    for heading in HEADING.findall(read_prose(page)):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return anchors


def read_section(page: Path, heading: str) -> str:
    """The text between a heading of level 2 and the next one."""
    return page.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def read_block(section: str, language: str) -> str:
    """The only block of code in a language."""
    [block] = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    return str(block)


def read_tables(section: str) -> list[list[str]]:
    """The cells of every table row."""
    rows = re.findall(r"^\|(.+)\|$", section, re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in rows if not row.startswith("---")]


def read_constant(link: str) -> Any:
    """The value of the constant that a cell links to: a module's, or a field of one of its objects."""
    match = CONSTANT.fullmatch(link)
    assert match, f"not a link to a constant: {link}"
    value: Any = importlib.import_module(match[2].removesuffix(".py").replace("/", "."))
    for name in match[1].split("."):
        defaults = getattr(value, "_field_defaults", {}) if isinstance(value, type) else {}
        value = defaults[name] if name in defaults else getattr(value, name)
    return value
