"""The outcome table, row by row. Each rule has rows whose outcome differs without it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from injector.decision import rules
from injector.decision.outcomes import Decision, Deny
from injector.reasons import Reason
from testing.cases import CONFIG, load_case

ROWS: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("outcomes.yaml").read_text())
TABLES = ("SKIP_RULES", "DENY_RULES", "SKIP_RULES_WITHOUT_ROLE", "WARN_RULES", "WARN_RULES_WITHOUT_ROLE")
RULES = {rule.__name__ for table in TABLES for rule in getattr(rules, table)}
UNDECIDED = {
    Reason.NOT_A_POD_CREATION,  # before the decision
    Reason.OBJECT_TOO_LARGE,
    Reason.CLUSTER_READ_FAILED,
    Reason.INTERNAL_ERROR,
    Reason.CREDENTIALS_OVERRIDDEN,  # by the plan, after the decision
    Reason.SHARED_CONFIG_SET,
    Reason.SHARED_CONFIG_MOUNTED,
    Reason.POD_UID_OVERRIDDEN,
    Reason.REGION_NOT_SET,
    Reason.NO_PROXY_NOT_EXTENDED,
    Reason.NO_PROXY_NOT_REPLACED,
    Reason.RESERVED_NAME,
    Reason.RESERVED_MOUNT,
    Reason.POD_TOO_LARGE,
    Reason.TOO_MANY_CONTAINERS,
    Reason.NO_PROXY_TOO_LONG,
}


def rows(*, with_rule: bool) -> list[Any]:
    chosen = [row for row in ROWS if "rule" in row or not with_rule]
    return [pytest.param(row, id=row["id"]) for row in chosen]


def decide(row: dict[str, Any]) -> Decision:
    changes = dict(row.get("config", {}))
    if "allow_overrides" in changes:
        changes["allow_overrides"] = frozenset(changes["allow_overrides"])
    case = load_case(row["pod"])
    version = tuple(row["version"]) if "version" in row else None
    if row.get("service_account") == "missing":
        case = replace(case, service_account=None)
    return replace(case, version=version).decide(CONFIG._replace(**changes))


def summarize(found: Decision) -> tuple[str, list[str], list[str]]:
    """Outcome, the codes of its reasons, and those of its warnings."""
    reasons = [one.reason for one in found.explanations] if isinstance(found, Deny) else [found.reason]
    return found.outcome, [reason.code for reason in reasons], [warning.reason.code for warning in found.warnings]


@pytest.mark.parametrize("row", rows(with_rule=False))
def test_pod_has_the_outcome_of_its_row(row: dict[str, Any]) -> None:
    assert summarize(decide(row)) == (row["outcome"], row["reasons"], row.get("warnings", []))


@pytest.mark.parametrize("row", rows(with_rule=True))
def test_outcome_of_a_row_differs_without_its_rule(row: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for table in TABLES:
        rest = tuple(rule for rule in getattr(rules, table) if rule.__name__ != row["rule"])
        monkeypatch.setattr(rules, table, rest)

    assert summarize(decide(row)) != (row["outcome"], row["reasons"], row.get("warnings", []))


def test_every_rule_has_a_row() -> None:
    assert {row["rule"] for row in ROWS if "rule" in row} == RULES


def test_every_reason_of_a_decision_has_a_row() -> None:
    reasons = {code for row in ROWS for code in [*row["reasons"], *row.get("warnings", [])]}

    assert reasons == {reason.code for reason in Reason} - {reason.code for reason in UNDECIDED}


def test_ids_of_rows_are_unique() -> None:
    assert len({row["id"] for row in ROWS}) == len(ROWS)
