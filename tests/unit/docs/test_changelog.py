"""Names that the changelog calls old are used nowhere else."""

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
