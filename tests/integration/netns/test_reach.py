"""The table of checks, under each kind of rules and each way to load them; a plain network stands beside it."""

from collections.abc import Iterator

import pytest

from testing.pods import Node
from testing.repository import ROOT
from tests.integration.netns.backends import Backend
from tests.integration.netns.checks import CHECKS, Ask, probe
from tests.integration.netns.rule_test_bed import RuleTestBed, open_rule_test_bed

DOCUMENT = (ROOT / "docs/redirect.md").read_text()


@pytest.fixture
def arena(node: Node) -> Iterator[RuleTestBed]:
    with open_rule_test_bed(node) as opened:
        yield opened


def test_without_rules_all_requests_reach_the_node(arena: RuleTestBed, ask: Ask) -> None:
    assert probe(arena.networks, "plain", ask) == {}


@pytest.mark.parametrize("kind", ["redirect", "block", "node"])
def test_rules_match_the_table_of_checks(backend: Backend, arena: RuleTestBed, ask: Ask, kind: str) -> None:
    if kind == "node" and arena.node.single_user:
        pytest.skip("every uid is one in a user namespace: run as root")
    before = probe(arena.networks, "plain", ask)

    found = arena.judge(backend, kind, ask)

    assert before == {}
    assert found == {}


def test_docs_contain_the_table_of_checks() -> None:
    rows = [
        f"| {check.asker} | {check.name} | {' | '.join(check.answers[kind] for kind in check.answers)} |"
        for check in CHECKS
    ]

    assert "\n".join(rows) in DOCUMENT
