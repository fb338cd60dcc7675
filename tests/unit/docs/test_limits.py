"""Every row of docs/limits.md has the number and the text of the code; test_links.py checks that its tests exist."""

import re
from typing import NamedTuple

import pytest

from testing.repository import ROOT
from tests.unit.docs.pages import read_constant, read_tables

PAGE = ROOT / "docs" / "limits.md"
LITERAL_JOIN = re.compile(r'"\s*\n\s*f?"')
"""Between two parts of one string literal."""


class Row(NamedTuple):
    """A row of one of the page's tables."""

    what: str
    limit: str
    constant: str
    text: str
    test: str


ROWS = [Row(*cells) for cells in read_tables(PAGE.read_text()) if cells[0] not in {"what", "---"}]

each_row = pytest.mark.parametrize("row", ROWS, ids=[row.what for row in ROWS])


def parse_limit(text: str) -> float:
    """The number of `64 KiB`, `200 000`, or `16 s`. Only units of bytes change it."""
    match = re.fullmatch(r"([\d .]*\d)(?: ([A-Za-z]+))?", text)
    assert match, f"not a number: {text}"
    return float(match[1].replace(" ", "")) * {"MiB": 1024 * 1024, "KiB": 1024}.get(match[2], 1)


def read_sources() -> str:
    """The code, each string literal in one piece."""
    files = [
        file for folder in ("injector", "server", "podrole/yaml") for file in sorted(ROOT.glob(f"{folder}/**/*.py"))
    ]
    return LITERAL_JOIN.sub("", "\n".join(file.read_text() for file in files))


SOURCES = read_sources()


@each_row
def test_limit_is_the_one_of_the_code(row: Row) -> None:
    assert parse_limit(row.limit) == read_constant(row.constant)


@each_row
def test_quoted_text_is_the_one_of_the_code(row: Row) -> None:
    name = row.constant.partition("`")[2].partition("`")[0]
    code = SOURCES.replace(f"{{{name}}}", str(read_constant(row.constant)))

    for quoted in re.findall(r"`([^`]+)`", row.text):
        missing = [part for part in quoted.split("…") if part.strip() and part.strip() not in code]
        assert missing == []


@each_row
def test_row_names_its_test(row: Row) -> None:
    assert re.fullmatch(r"`test_\w+`(?:, `test_\w+`)*", row.test)
