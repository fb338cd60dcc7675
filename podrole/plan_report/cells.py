"""How a plan shows a workload in a row of a table, in text and in HTML."""

import re
from collections import Counter
from typing import Any

from contract.text import quote
from injector.decision.outcomes import Outcome
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL
from injector.reasons import Reason
from podrole.findings import format_number
from podrole.planning.namespaces import NamespacePlan
from podrole.planning.plan import Plan
from podrole.planning.resources import Totals, format_amount
from podrole.planning.restarts import How
from podrole.planning.roles_now import NOBODY, NODE, PODROLE, RoleNow
from podrole.planning.rows import Row

COLUMNS = ("WORKLOAD", "PODS", "ROLE NOW", "ROLE THEN", "MODE", "ADDS PER POD", "RESTART")
ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/(.+)")
REQUESTS = ("requests.cpu", "requests.memory")
MAX_CELL = 300
"""Characters of a value that a cell shows."""

OUTCOMES = {
    "redirect": "redirect",
    "env": "env",
    "block": "block",
    Outcome.SKIP: "unchanged",
    Outcome.DENY: "denied",
    Outcome.FAIL: "unknown",
}
SOURCES = {
    Reason.ROLE_FROM_POD.code: "pod",
    Reason.ROLE_FROM_SERVICE_ACCOUNT.code: "account",
    Reason.ROLE_FROM_NAMESPACE.code: "namespace",
}
"""What has the annotation that sets the role."""

SYSTEMS = {NODE: "the node's", NOBODY: "none", PODROLE: "none (podrole)"}


def build_cells(row: Row, plan: Plan) -> tuple[str, ...]:
    """The values of COLUMNS."""
    return (
        _quote(row.name),
        f"{row.pods}",
        _quote(_format_now(row.now, plan)),
        _quote(_format_then(row, plan)),
        OUTCOMES.get(row.then.mode or row.then.outcome, row.then.outcome),
        format_added(row.cost.added),
        format_restart(row),
    )


def _format_now(now: RoleNow, plan: Plan) -> str:
    if now.role:
        return f"{_shorten(now.role, plan)} ({now.system})"
    return SYSTEMS.get(now.system, now.system)


def _format_then(row: Row, plan: Plan) -> str:
    then = row.then
    if then.role:
        return f"{_shorten(then.role, plan)} ({SOURCES.get(then.reason, then.reason)})"
    if then.outcome == Outcome.SKIP:
        return _format_now(row.now, plan)
    return {Outcome.BLOCK: "none", Outcome.DENY: then.reason}.get(then.outcome, "unknown")


def _shorten(role: str, plan: Plan) -> str:
    """The name of a role, behind the account where it is not the default one. JSON output has the whole ARN."""
    if plan.role_arn_prefix and role.startswith(plan.role_arn_prefix):
        return role.removeprefix(plan.role_arn_prefix)
    found = ROLE_ARN.fullmatch(role)
    return f"{found[1]}:{found[2]}" if found else role


def format_added(totals: Totals) -> str:
    """CPU and memory that are requested in addition."""
    cpu, memory = _format_amounts(totals)
    return f"{cpu} {memory}" if any(totals[name] for name in REQUESTS) else "-"


def _format_amounts(totals: Totals) -> list[str]:
    return [format_amount(name, totals[name]) for name in REQUESTS]


def _describe_added(totals: Totals) -> str:
    if not any(totals[name] for name in REQUESTS):
        return "adds no CPU or memory"
    return "adds {} CPU and {} memory".format(*_format_amounts(totals))


def format_restart(row: Row) -> str:
    """The way in which the pods are replaced, and how many already need no restart."""
    if row.restart.how == How.NONE:
        return "-"
    if row.injected and row.outdated < row.pods:
        return f"{row.restart.how} ({row.outdated} of {row.pods})"
    return str(row.restart.how)


def format_namespace(namespace: NamespacePlan) -> str:
    """The heading of a namespace."""
    marks = {
        True: "",
        False: f", once it has the label {INJECTION_LABEL}: {INJECTION_ENABLED}",
        None: ", label unknown",
    }
    numbers = [
        format_number(len(namespace.rows), "workload"),
        format_number(namespace.pods, "pod"),
        _describe_added(namespace.added),
    ]
    mark = marks[namespace.is_labelled] if namespace.is_planned else ""
    return f"namespace {_quote(namespace.name)}{mark}: {', '.join(numbers)}"


def list_summary(plan: Plan) -> list[str]:
    """The lines of the summary."""
    outcomes = plan.count_outcomes()
    modes = [f"{number} {OUTCOMES.get(one, one)}" for one, number in _order(outcomes)]
    restarts = [f"{number} {how}" for how, number in _order(plan.count_restarts()) if how != How.NONE]
    unlabelled = sum(one.is_labelled is False for one in plan.namespaces)
    without = f" ({unlabelled} without the label)" if unlabelled else ""
    numbers = [
        f"{format_number(len(plan.namespaces), 'namespace')}{without}",
        format_number(len(plan.rows), "workload"),
        format_number(sum(one.pods for one in plan.namespaces), "pod"),
    ]
    return [
        ", ".join(numbers),
        f"workloads by mode: {', '.join(modes) or 'none'}",
        f"to restart: {', '.join(restarts) or 'nothing'}",
        f"{_describe_added(plan.added)}",
    ]


def _order(counter: Counter[Any]) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], str(item[0])))


def _quote(text: str) -> str:
    return quote(text, MAX_CELL)
