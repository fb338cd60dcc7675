"""A plan as text: a table for each namespace, its findings and commands below, and a summary at the end."""

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from contract.text import quote
from injector.decision.outcomes import Outcome
from podrole.findings import Finding, Level, format_counts
from podrole.plan_report.cells import COLUMNS, MAX_CELL, build_cells, format_namespace, list_summary
from podrole.planning.namespaces import NamespacePlan
from podrole.planning.plan import Plan
from podrole.planning.restarts import How

MIN_WIDTH, MAX_WIDTH, DEFAULT_WIDTH = 80, 120, 110
CHANGED = (Outcome.INJECT, Outcome.BLOCK)
MAX_COMMAND = 1000
MAX_NAMES = 5
"""Workloads that a finding names."""


def format_text(plan: Plan) -> str:
    """Format the plan for a terminal."""
    width = max(MIN_WIDTH, min(MAX_WIDTH, shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns))
    lines = [line for namespace in plan.namespaces for line in _format_namespace(namespace, plan, width)]
    if plan.findings:
        lines += ["cluster", *(line for one in plan.findings for line in _format_finding(one, (), width)), ""]
    lines += ["summary", *(f"  {line}" for line in list_summary(plan)), f"  {format_counts(plan.sections)}"]
    return "\n".join(lines)


def _format_namespace(namespace: NamespacePlan, plan: Plan, width: int) -> Iterator[str]:
    yield from textwrap.wrap(format_namespace(namespace), width, subsequent_indent="  ")
    if namespace.rows:
        yield from format_table([COLUMNS, *(build_cells(row, plan) for row in namespace.rows)], width)
    findings: dict[Finding, list[str]] = {one: [] for one in namespace.findings}
    for row in namespace.rows:
        for one in row.findings:
            findings.setdefault(one, []).append(row.name)
    levels = [*Level]
    for one in sorted(findings, key=lambda found: -levels.index(found.level)):
        yield from _format_finding(one, findings[one], width)
    yield from _format_commands(namespace)
    yield ""


def _format_commands(namespace: NamespacePlan) -> Iterator[str]:
    """Commands are never wrapped, so that they can be copied."""
    rows = [row for row in namespace.rows if row.restart.how != How.NONE]
    is_changed = any(row.then.outcome in CHANGED for row in namespace.rows)  # also pods that do not run now
    label = namespace.label_command if is_changed else ""
    if rows or label:
        yield "  to do:"
        if namespace.has_problems:
            yield "    # First mend the problems above: pods that are denied or rejected do not start again."
        if label:
            yield f"    {quote(label, MAX_COMMAND)}"
    for row in rows:
        command, note = quote(row.restart.command, MAX_COMMAND), quote(row.restart.note, MAX_COMMAND)
        if command:
            yield f"    {command}{f'   # {note}' if note else ''}"
        else:
            yield f"    # {quote(row.name, MAX_CELL)}: {note}"


def _format_finding(finding: Finding, names: Sequence[str], width: int) -> Iterator[str]:
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    whose = f"{quote(', '.join(names[:MAX_NAMES]), MAX_CELL)}{more}: " if names else ""
    indent = " " * 11
    wrapper = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False, subsequent_indent=indent)
    wrapper.initial_indent = f"  {finding.level:<9}"
    yield from wrapper.wrap(f"{whose}{finding.text}")
    yield from (f"{indent}> {line}" for line in finding.remedy.splitlines())


def format_table(rows: Iterable[Sequence[str]], width: int) -> Iterator[str]:
    """Format rows of cells; a cell that is too long continues on the next line."""
    rows = [*rows]
    widths = _choose_widths(rows, width)
    for row in rows:
        cells = [textwrap.wrap(cell, size) or [""] for cell, size in zip(row, widths, strict=True)]
        for number in range(max(map(len, cells))):
            parts = [cell[number] if number < len(cell) else "" for cell in cells]
            line = " ".join(f"{part:<{size}}" for part, size in zip(parts, widths, strict=True))
            yield f"  {line}".rstrip()


def _choose_widths(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Give each column what its cells need, and take from the widest ones until all fit."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    available = width - 2 - (len(widths) - 1)
    while sum(widths) > available:
        widths[widths.index(max(widths))] -= 1
    return widths
