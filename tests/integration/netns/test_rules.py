"""Every rule is needed: each file is loaded without each of its rules, and the documented check must fail."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import contract
from testing.pods import Node
from tests.integration.netns.checks import SendProbes
from tests.integration.netns.conftest import build_backend
from tests.integration.netns.rule_files import KINDS, Rule, copy_without, copy_without_address, list_rules, load_checks
from tests.integration.netns.rule_test_bed import FailedChecks, RuleTestBed, open_rule_test_bed

RULES = list_rules()
CHECKS = load_checks()
BACKENDS = {".nft": "nftables", ".rules": "iptables-nft"}
"""iptables-legacy loads the same files as iptables-nft: test_reach.py checks both against the same table."""

LISTS = [name for name in sorted({rule.file for rule in RULES}) if "node" not in name]


@pytest.fixture(scope="module")
def test_bed(node: Node) -> Iterator[RuleTestBed]:
    with open_rule_test_bed(node) as opened:
        yield opened


@pytest.mark.parametrize("file", sorted({rule.file for rule in RULES}))
def test_docs_list_every_rule_of_a_file_in_order(file: str) -> None:
    assert [rule for rule in CHECKS if rule.file == file] == [rule for rule in RULES if rule.file == file]


def evaluate(test_bed: RuleTestBed, file: str, repository: Path, send_probes: SendProbes, check: str) -> FailedChecks:
    """Load a changed file; return the checks that fail, of those of packets only the named one: all take minutes."""
    backend = build_backend(BACKENDS[Path(file).suffix], repository, test_bed.node, repository)
    try:
        return test_bed.evaluate(backend, KINDS[Path(file).stem], send_probes, check)
    finally:
        backend.remove_all(test_bed.pod)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.file}: {rule.chain} {rule.text}")
def test_check_fails_without_its_rule(
    rule: Rule, test_bed: RuleTestBed, tmp_path: Path, send_probes: SendProbes
) -> None:
    if rule.kind == "node" and test_bed.node.single_user:
        pytest.skip("every uid is 0 in a user namespace: run as root")

    failed = evaluate(test_bed, rule.file, copy_without(rule, tmp_path), send_probes, CHECKS[rule])

    assert CHECKS[rule] in failed


@pytest.mark.parametrize("address", contract.METADATA_ADDRESSES)
@pytest.mark.parametrize("file", LISTS)
def test_address_is_not_redirected_if_missing_from_a_list(
    file: str, address: str, test_bed: RuleTestBed, tmp_path: Path, send_probes: SendProbes
) -> None:
    check = f"pod: TCP 80, {'IPv6' if ':' in address else 'IPv4'}"

    failed = evaluate(test_bed, file, copy_without_address(file, address, tmp_path), send_probes, check)

    assert list(failed[check]) == [f"tcp/{address}/80"]
