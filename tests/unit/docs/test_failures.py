"""Every row of docs/failures.md ends with the test that proves it; test_links.py checks that the test exists."""

import re

from testing.repository import ROOT

PAGE = (ROOT / "docs" / "failures.md").read_text()


def test_every_failure_has_a_test() -> None:
    rows = re.findall(r"^\| (?!failure|---)(.*) \|$", PAGE, re.MULTILINE)

    assert rows
    assert [row for row in rows if not re.search(r"`test_\w+`$", row)] == []
