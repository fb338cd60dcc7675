"""The changelog has each section and entry once, and names that it calls old are used nowhere else."""

import re

import pytest

from testing.repository import ROOT
from tests.unit.docs.pages import PAGES

CHANGELOG = ROOT / "CHANGELOG.md"
OLD_NAMES = re.findall(r"`([\w./-]+)[^`]*` ->", CHANGELOG.read_text())
FOLDERS = ("contract", "injector", "podrole", "server", "sidecar", "kustomize", "demo", "bench", "images", "testing")
FILES = [
    *(page for page in PAGES if page != CHANGELOG),
    *(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.*") if file.suffix in {".py", ".yaml", ".env"}),
]


@pytest.mark.parametrize("name", [name for name in OLD_NAMES if name.startswith("podrole") or name.isupper()])
def test_old_name_is_gone(name: str) -> None:
    users = [file for file in FILES if re.search(rf"\b{re.escape(name)}\b", file.read_text())]

    assert users == []


def test_sections_of_a_version_are_there_once_and_in_order() -> None:
    for version in CHANGELOG.read_text().split("\n## ")[1:]:
        sections = re.findall(r"^### (.+)$", version, re.MULTILINE)

        assert sections == [name for name in ("Security", "Added", "Changed", "Fixed") if name in sections]


def test_no_entry_is_there_twice() -> None:
    entries = re.findall(r"^(?:- |\| [a-z].*->).*$", CHANGELOG.read_text(), re.MULTILINE)

    assert [entry for entry in entries if entries.count(entry) > 1] == []
