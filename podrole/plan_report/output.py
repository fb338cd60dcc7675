"""Writes a plan: as text, as JSON for programs, or as one HTML file."""

from collections.abc import Iterable
from typing import Any

from podrole.findings import Finding, count_levels
from podrole.plan_report.html import format_html
from podrole.plan_report.text import format_text
from podrole.planning.namespaces import NamespacePlan
from podrole.planning.plan import Plan
from podrole.planning.resources import NAMES, Totals, format_amount
from podrole.planning.rows import Row
from podrole.terminal import write, write_json


def write_plan(plan: Plan, output: str) -> None:
    """Write the plan to standard output."""
    if output == "json":
        write_json(build_document(plan))
    elif output == "html":
        write(format_html(plan))
    else:
        write(format_text(plan))


def build_document(plan: Plan) -> dict[str, Any]:
    """Build the document for `--output json`; docs/cli.md lists its fields."""
    levels = count_levels(plan.sections)
    return {
        "summary": {
            "namespaces": len(plan.namespaces),
            "workloads": len(plan.rows),
            "pods": sum(namespace.pods for namespace in plan.namespaces),
            "outcomes": dict(plan.count_outcomes()),
            "restarts": {str(how): count for how, count in plan.count_restarts().items()},
            "findings": {str(level): count for level, count in levels.items()},
            "adds": _build_amounts(plan.added),
        },
        "findings": _build_findings(plan.findings),
        "namespaces": [_build_namespace(one) for one in plan.namespaces],
        "workloads": [_build_row(row, namespace) for namespace in plan.namespaces for row in namespace.rows],
    }


def _build_namespace(namespace: NamespacePlan) -> dict[str, Any]:
    return {
        "name": namespace.name,
        "labelled": namespace.is_labelled,
        "label_command": namespace.label_command,
        "workloads": len(namespace.rows),
        "pods": namespace.pods,
        "adds": _build_amounts(namespace.added),
        "findings": _build_findings(namespace.findings),
    }


def _build_row(row: Row, namespace: NamespacePlan) -> dict[str, Any]:
    return {
        "namespace": row.key.namespace,
        "group": row.key.group,
        "kind": row.key.kind,
        "name": row.key.name,
        "template": row.part,
        "service_account": row.service_account,
        "labelled": namespace.is_labelled,
        "pods": row.pods,
        "injected_pods": row.injected,
        "outdated_pods": row.outdated,
        "now": row.now._asdict(),
        "then": row.then._asdict(),
        "adds_per_pod": _build_amounts(row.cost.added),
        "adds": _build_amounts(row.added),
        "restart": row.restart._asdict(),
        "findings": _build_findings(row.findings),
    }


def _build_amounts(totals: Totals) -> dict[str, str]:
    return {name: format_amount(name, totals[name]) for name in NAMES}


def _build_findings(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    return [finding._asdict() for finding in findings]
