"""Every row of docs/threat-model.md says whether it is held and names a test; test_links.py checks that it exists."""

import re

from testing.repository import ROOT
from tests.unit.docs.pages import read_section, read_tables

PAGE = ROOT / "docs" / "threat-model.md"
SECTIONS = ("From inside a pod", "With rights in the cluster", "Against the injector", "What an override opens")
RESULTS = {"held", "not stopped"}


def read_rows() -> list[list[str]]:
    """The rows of all tables, without their heads."""
    return [row for section in SECTIONS for row in read_tables(read_section(PAGE, section))[1:]]


def test_every_threat_is_held_or_not_stopped() -> None:
    assert len(read_rows()) > len(SECTIONS)
    assert [row for row in read_rows() if RESULTS.isdisjoint(row)] == []


def test_every_threat_has_a_test() -> None:
    assert [row for row in read_rows() if not re.fullmatch(r"`test_\w+`(, `test_\w+`)*", row[-1])] == []


def test_threat_that_is_not_stopped_says_what_is_reached() -> None:
    reached = [row for row in read_rows() if "not stopped" in row]

    assert reached
    assert [row for row in reached if not row[-2]] == []
