"""docs/annotations.md lists every key that the webhook reads from objects, and no other."""

import re

from testing.repository import ROOT

PAGE = (ROOT / "docs/annotations.md").read_text()
KEY = r"(?:podrole\.io|iam\.amazonaws\.com)/[a-z-]+|eks\.amazonaws\.com/[a-z-]+"


def test_the_page_lists_exactly_the_keys_of_the_code() -> None:
    code = "\n".join(file.read_text() for file in ROOT.glob("injector/**/*.py"))

    assert set(re.findall(f"`({KEY})`", PAGE)) == set(re.findall(f'"({KEY})"', code))
