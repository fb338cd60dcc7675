"""No rule is there for nothing: each file is loaded without each of its rules, and the check named for it must fail."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import contract
from testing.pods import Node
from tests.integration.netns.checks import Ask
from tests.integration.netns.conftest import build_backend
from tests.integration.netns.rule_files import KINDS, Rule, copy_without, copy_without_address, list_rules, load_checks
from tests.integration.netns.rule_test_bed import Findings, RuleTestBed, open_rule_test_bed

RULES = list_rules()
CHECKS = load_checks()
BACKENDS = {".nft": "nftables", ".rules": "iptables-nft"}
"""iptables-legacy loads the same files as iptables-nft, rule for rule: `test_reach` holds both to the same table."""

LISTS = [name for name in sorted({rule.file for rule in RULES}) if "node" not in name]


@pytest.fixture(scope="module")
def arena(node: Node) -> Iterator[RuleTestBed]:
    with open_rule_test_bed(node) as opened:
        yield opened


@pytest.mark.parametrize("file", sorted({rule.file for rule in RULES}))
def test_docs_list_every_rule_of_a_file_in_order(file: str) -> None:
    assert [rule for rule in CHECKS if rule.file == file] == [rule for rule in RULES if rule.file == file]


def judge(arena: RuleTestBed, file: str, repository: Path, ask: Ask) -> Findings:
    backend = build_backend(BACKENDS[Path(file).suffix], repository, arena.node, repository)
    try:
        return arena.judge(backend, KINDS[Path(file).stem], ask)
    finally:
        backend.remove_all(arena.pod)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.file}: {rule.chain} {rule.text}")
def test_check_fails_without_its_rule(rule: Rule, arena: RuleTestBed, tmp_path: Path, ask: Ask) -> None:
    if rule.kind == "node" and arena.node.single_user:
        pytest.skip("every uid is one in a user namespace: run as root")

    found = judge(arena, rule.file, copy_without(rule, tmp_path), ask)

    assert CHECKS[rule] in found


@pytest.mark.parametrize("address", contract.METADATA_ADDRESSES)
@pytest.mark.parametrize("file", LISTS)
def test_address_is_not_redirected_if_missing_from_a_list(
    file: str, address: str, arena: RuleTestBed, tmp_path: Path, ask: Ask
) -> None:
    found = judge(arena, file, copy_without_address(file, address, tmp_path), ask)

    family = "IPv6" if ":" in address else "IPv4"
    assert list(found[f"pod: TCP 80, {family}"]) == [f"tcp/{address}/80"]
