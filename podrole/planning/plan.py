"""The whole plan of an estate: its workloads by namespace, their sums, and what concerns the cluster."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from injector.decision.unknown_annotations import find_injection_label
from injector.k8s.objects import Metadata, Object
from injector.k8s.workloads import read_group_kind
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL
from podrole.diagnosis.selectors import find_mismatch
from podrole.estate.objects import Workload
from podrole.findings import Finding, Level, Section, limit_findings
from podrole.planning.estate import Key, PlanEstate, RunningPod
from podrole.planning.findings import NamespaceFinding, PlanFinding
from podrole.planning.limit_ranges import LimitRanges
from podrole.planning.nodes import check_nodes
from podrole.planning.pod_plans import Settings
from podrole.planning.quotas import Demand, Quotas
from podrole.planning.resources import Totals, add_totals, multiply
from podrole.planning.restarts import How
from podrole.planning.rows import Limits, Row, RowInput, build_row

NAME_LABEL = "kubernetes.io/metadata.name"
"""The API server sets it on each namespace."""


class NamespacePlan(NamedTuple):
    """The workloads of one namespace."""

    name: str
    is_labelled: bool | None
    """None: unknown."""

    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]

    @property
    def added(self) -> Totals:
        """What all of its pods request in addition."""
        return add_totals(row.added for row in self.rows)

    @property
    def label_command(self) -> str:
        """The command that enables injection; empty where it is enabled, or where that is unknown."""
        if self.is_labelled is not False:
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


@dataclass(frozen=True)
class Plan:
    """A plan of an estate."""

    namespaces: tuple[NamespacePlan, ...]
    findings: tuple[Finding, ...]
    """About the cluster."""

    role_arn_prefix: str | None = None
    """What names of roles are appended to."""

    @property
    def rows(self) -> list[Row]:
        """All workloads."""
        return [row for namespace in self.namespaces for row in namespace.rows]

    @property
    def added(self) -> Totals:
        """What all pods request in addition."""
        return add_totals(namespace.added for namespace in self.namespaces)

    @property
    def sections(self) -> list[Section]:
        """All findings, for the exit code and their numbers."""
        sections = [Section("cluster", self.findings)]
        for namespace in self.namespaces:
            sections.append(Section(namespace.name, namespace.findings))
            sections += [Section(f"{namespace.name} {row.name}", row.findings) for row in namespace.rows]
        return sections

    def count_outcomes(self) -> Counter[str]:
        """Count workloads by mode; where there is none, by outcome."""
        return Counter(row.then.mode or row.then.outcome for row in self.rows)

    def count_restarts(self) -> Counter[How]:
        """Count workloads by the way in which their pods are replaced."""
        return Counter(row.restart.how for row in self.rows)


class Scope(NamedTuple):
    """What a plan is about."""

    requested: Sequence[str] = ()
    """Namespaces that are in the plan even if they have no workload."""

    left_out: frozenset[str] = frozenset()
    """Namespaces whose workloads are left out."""

    selector: Object | None = None
    """Of the installed webhook, for namespaces; None: unknown."""


WHOLE_ESTATE = Scope()


def build_plan(
    estate: PlanEstate, settings: Settings, scope: Scope = WHOLE_ESTATE, findings: Sequence[Finding] = ()
) -> Plan:
    """Plan all workloads. `findings`: what is known about the cluster already."""
    workloads = _find_workloads(estate)
    tops = [estate.find_top(pod.owner, workloads) for pod in estate.pods]
    running: dict[Key, list[RunningPod]] = {}
    for pod, top in zip(estate.pods, tops, strict=True):
        if not pod.is_terminating:
            running.setdefault(top, []).append(pod)
    for top in running.keys() - workloads.keys():
        if (sample := _find_sample(estate, running[top])) is not None:
            workloads[top] = [sample]
    by_namespace: dict[str, list[Key]] = {name: [] for name in scope.requested}
    for key in workloads:
        by_namespace.setdefault(key.namespace, []).append(key)
    namespaces = []
    for name in sorted(by_namespace.keys() - scope.left_out):
        those = [(key, workloads[key], running.get(key, [])) for key in sorted(by_namespace[name], key=_order)]
        namespaces.append(_plan_namespace(name, those, estate, (settings, scope)))
    rows = {row.key: row for namespace in namespaces for row in namespace.rows}
    return Plan(tuple(namespaces), (*findings, *check_nodes(estate, rows, tops)), settings.config.role_arn_prefix)


def _order(key: Key) -> tuple[str, str, str]:
    return key.kind, key.name, key.group


def _find_workloads(estate: PlanEstate) -> dict[Key, list[Workload]]:
    """Find the workloads that a user wrote, each with its pod templates."""
    found: dict[Key, list[Workload]] = {}
    for one in estate.workloads:
        key = Key(one.namespace, *read_group_kind(one.obj), one.template.name)
        found.setdefault(key, []).append(one)
    return {key: those for key, those in found.items() if estate.find_top(key, found) == key}


def _find_sample(estate: PlanEstate, running: Sequence[RunningPod]) -> Workload | None:
    """Find one of the pods of a controller whose own object is unknown."""
    return next((estate.samples[pod.owner] for pod in running if pod.owner in estate.samples), None)


def _plan_namespace(
    name: str,
    workloads: Sequence[tuple[Key, list[Workload], list[RunningPod]]],
    estate: PlanEstate,
    context: tuple[Settings, Scope],
) -> NamespacePlan:
    settings, scope = context
    limits = Limits(LimitRanges(estate, name), Quotas(estate, name))
    rows = [
        build_row(RowInput(key, one, running if number == 0 else (), estate, limits, settings))
        for key, templates, running in workloads
        for number, one in enumerate(templates)
    ]
    demands = [
        Demand(row.name, multiply(row.cost.before, row.pods), row.added, multiply(row.cost.after, row.surge))
        for row in rows
    ]
    metadata = estate.namespaces.get(name)
    findings = limit_findings(
        [
            *_check_label(name, metadata, estate, scope),
            *limits.quotas.check(demands),
            *dict.fromkeys(one for row in rows for one in row.namespace_findings),
            *_report_unknown(name, estate),
        ]
    )
    is_labelled = None if metadata is None else metadata.labels.get(INJECTION_LABEL) == INJECTION_ENABLED
    return NamespacePlan(name, is_labelled, tuple(rows), tuple(findings))


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
            yield PlanFinding.POD_TEMPLATE_UNKNOWN.format(owner=owner, why=one.sentence, hint=one.hint)
