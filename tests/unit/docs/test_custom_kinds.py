"""docs/cli.md lists the custom kinds of the table, and no others."""

import re

from injector.k8s.workload_kinds import BUILT_IN_GROUPS, WORKLOAD_KINDS
from testing.repository import ROOT

ROW = re.compile(r"^\| ([a-z0-9.-]+\.[a-z0-9.-]+) \| ([A-Za-z0-9, ]*) \| ([A-Za-z0-9, ]*) \|$", re.MULTILINE)


def test_table_of_custom_kinds_is_the_one_in_the_code() -> None:
    section = (ROOT / "docs/cli.md").read_text().partition("### Custom kinds\n")[2].partition("\n## ")[0]

    documented = {
        (group, kind): is_for_webhook
        for group, *columns in ROW.findall(section)
        for is_for_webhook, kinds in zip((False, True), columns, strict=True)
        for kind in kinds.split(", ")
        if kind
    }

    assert documented == {
        key: kind.cannot_inject is not None for key, kind in WORKLOAD_KINDS.items() if key[0] not in BUILT_IN_GROUPS
    }
