"""Every row of docs/failures.md ends with the test that proves it; test_links.py checks that the test exists."""

import re

from testing.repository import ROOT
from tests.unit.docs.pages import read_section

FILE = ROOT / "docs" / "failures.md"
PAGE = FILE.read_text()
INDEX = "Where to look"


def test_every_failure_has_a_test() -> None:
    rows = re.findall(r"^\| (?!failure|---)(.*) \|$", PAGE.replace(read_section(FILE, INDEX), ""), re.MULTILINE)

    assert rows
    assert [row for row in rows if not re.search(r"`test_\w+`$", row)] == []


def test_every_section_can_be_found_by_a_symptom() -> None:
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    index = read_section(FILE, INDEX)

    assert headings[0] == INDEX
    assert [heading for heading in headings[1:] if f"[{heading}](#" not in index] == []
