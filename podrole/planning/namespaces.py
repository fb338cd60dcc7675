"""The plan of one namespace: its workloads, its label, its quotas."""

import shlex
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from injector.decision.unknown_annotations import find_injection_label, is_left_out
from injector.k8s.objects import Metadata, Object
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL
from podrole.diagnosis.state.selectors import find_mismatch
from podrole.estate.objects import Workload
from podrole.findings import Finding, Level, limit_findings
from podrole.planning.estate import Key, PlanEstate, RunningPod
from podrole.planning.findings import NamespaceFinding, PlanFinding
from podrole.planning.limit_ranges import LimitRanges
from podrole.planning.pod_plans import Settings
from podrole.planning.quotas import Demand, Quotas
from podrole.planning.resources import Totals, add_totals, multiply
from podrole.planning.rows import Limits, Row, RowInput, build_row

NAME_LABEL = "kubernetes.io/metadata.name"
"""The API server sets it on each namespace."""


class Scope(NamedTuple):
    """What a plan is about."""

    requested: Sequence[str] = ()
    """Namespaces that are in the plan even if they have no workload."""

    left_out: frozenset[str] = frozenset()
    """Namespaces whose workloads are left out."""

    selector: Object | None = None
    """Of the installed webhook, for namespaces; None: unknown."""


class NamespacePlan(NamedTuple):
    """The workloads of one namespace."""

    name: str
    is_labelled: bool | None
    """None: unknown."""

    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    is_planned: bool = True
    """Whether its workloads are in the plan."""

    @property
    def added(self) -> Totals:
        """What all of its pods request in addition."""
        return add_totals(row.added for row in self.rows)

    @property
    def label_command(self) -> str:
        """The command that enables injection; empty where it is enabled, not planned, or where that is unknown."""
        if self.is_labelled is not False or not self.is_planned:
            return ""
        return f"kubectl label namespace {shlex.quote(self.name)} {INJECTION_LABEL}={INJECTION_ENABLED} --overwrite"

    @property
    def has_problems(self) -> bool:
        """Whether a workload would be denied or rejected, or a quota has no room."""
        findings = [*self.findings, *(one for row in self.rows for one in row.findings)]
        return any(one.level == Level.PROBLEM for one in findings)

    @property
    def pods(self) -> int:
        """Of all workloads."""
        return sum(row.pods for row in self.rows)


def plan_namespace(
    name: str,
    workloads: Sequence[tuple[Key, list[Workload], list[RunningPod]]],
    estate: PlanEstate,
    context: tuple[Settings, Scope],
) -> NamespacePlan:
    """Plan the workloads of a namespace: each with its pod templates, and its running pods."""
    metadata = estate.namespaces.get(name)
    is_labelled = None if metadata is None else metadata.labels.get(INJECTION_LABEL) == INJECTION_ENABLED
    if reason := _find_reason_to_skip(name, metadata, estate):
        return NamespacePlan(name, is_labelled, (), (reason,), is_planned=False)
    settings, scope = context
    limits = Limits(LimitRanges(estate, name), Quotas(estate, name))
    rows = [
        row
        for key, templates, running in workloads
        for row in _build_rows(templates, RowInput(key, templates[0], running, estate, limits, settings))
    ]
    findings = [
        *_check_label(name, metadata, estate, scope),
        *limits.quotas.check([*map(_build_demand, rows)]),
        *dict.fromkeys(one for row in rows for one in row.namespace_findings),
        *_report_unknown(name, estate),
    ]
    return NamespacePlan(name, is_labelled, tuple(rows), tuple(limit_findings(findings)))


def _build_demand(row: Row) -> Demand:
    before, surge = multiply(row.cost.before, row.pods), multiply(row.cost.after, row.surge)
    return Demand(row.name, before, row.added, surge, row.scope)


def _find_reason_to_skip(name: str, metadata: Metadata | None, estate: PlanEstate) -> Finding | None:
    if name in estate.terminating:
        return NamespaceFinding.TERMINATING.format()
    if metadata is not None and is_left_out(metadata):
        return NamespaceFinding.LEFT_OUT.format(value=metadata.labels[INJECTION_LABEL], namespace=name)
    return None


def _build_rows(templates: Sequence[Workload], first: RowInput) -> Iterator[Row]:
    """Build a row for each pod template. All running pods count for the first: they do not say which one they have."""
    if len(templates) == 1:
        yield build_row(first)
        return
    for number, one in enumerate(templates):
        given = first if number == 0 else first._replace(workload=one, running=())
        yield build_row(given)._replace(part=".".join(map(str, one.template.template_path)))


def _check_label(name: str, metadata: Metadata | None, estate: PlanEstate, scope: Scope) -> Iterator[Finding]:
    if metadata is None:
        if estate.is_known_to_miss("Namespace"):
            yield NamespaceFinding.NAMESPACE_NOT_FOUND.format(namespace=name)
        else:
            why = "it could not be read" if estate.is_complete else "it is not among the manifests"
            yield NamespaceFinding.NAMESPACE_UNKNOWN.format(why=why)
        return
    is_labelled = metadata.labels.get(INJECTION_LABEL) == INJECTION_ENABLED
    if not is_labelled and (found := find_injection_label(metadata)):
        yield NamespaceFinding.LABELLED_OTHERWISE.format(found=found)
    labels = {**metadata.labels, INJECTION_LABEL: INJECTION_ENABLED, NAME_LABEL: name}
    if scope.selector and (mismatch := find_mismatch(scope.selector, labels)):
        yield NamespaceFinding.NOT_SELECTED.format(mismatch=mismatch)


def _report_unknown(name: str, estate: PlanEstate) -> Iterator[Finding]:
    for namespace, one in estate.unknown:
        if namespace == name:
            owner = f"{one.template.kind}/{one.template.name}"
            yield PlanFinding.POD_TEMPLATE_UNKNOWN.format(owner=owner, why=one.sentence, remedy=one.remedy)
