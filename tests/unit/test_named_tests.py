"""The documentation names only tests that exist."""

import re
from pathlib import Path

import pytest

from testing.repository import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TESTS = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
DEFINED = set(re.findall(r"^def (test_\w+)\(", TESTS, re.MULTILINE))
FILES = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/**/*.py")}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_a_document_names_exists(document: Path) -> None:
    text = document.read_text()
    names = set(re.findall(r"`(test_\w+)`", text))
    paths = set(re.findall(r"`(tests/[\w/]+\.py)`", text))

    assert names - DEFINED == set()
    assert paths - FILES == set()


def test_failures_are_documented_with_their_tests() -> None:
    rows = re.findall(r"^\| (?!failure|---)(.*) \|$", (ROOT / "docs" / "failures.md").read_text(), re.MULTILINE)

    assert rows
    assert [row for row in rows if not re.search(r"`test_\w+`$", row)] == []
