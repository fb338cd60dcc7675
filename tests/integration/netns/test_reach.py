"""The table of checks, for each kind of rules and each backend, and without rules."""

from collections.abc import Iterator

import pytest

from testing.pods import Node
from testing.repository import ROOT
from tests.integration.netns.backends import Backend
from tests.integration.netns.checks import CHECKS, SendProbes, find_failed_checks
from tests.integration.netns.rule_test_bed import RuleTestBed, open_rule_test_bed

DOCUMENT = (ROOT / "docs/redirect.md").read_text()


@pytest.fixture
def test_bed(node: Node) -> Iterator[RuleTestBed]:
    with open_rule_test_bed(node) as opened:
        yield opened


def test_without_rules_all_requests_reach_the_node(test_bed: RuleTestBed, send_probes: SendProbes) -> None:
    assert find_failed_checks(test_bed.networks, "plain", send_probes) == {}


@pytest.mark.parametrize("kind", ["redirect", "block", "node"])
def test_rules_match_the_table_of_checks(
    backend: Backend, test_bed: RuleTestBed, send_probes: SendProbes, kind: str
) -> None:
    if kind == "node" and test_bed.node.single_user:
        pytest.skip("every uid is 0 in a user namespace: run as root")
    before = find_failed_checks(test_bed.networks, "plain", send_probes)

    failed = test_bed.evaluate(backend, kind, send_probes)

    assert before == {}
    assert failed == {}


def test_docs_contain_the_table_of_checks() -> None:
    rows = [
        f"| {check.client} | {check.name} | {' | '.join(check.expected[kind] for kind in check.expected)} |"
        for check in CHECKS
    ]

    assert "\n".join(rows) in DOCUMENT
