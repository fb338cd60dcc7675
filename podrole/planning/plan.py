"""The whole plan of an estate: its workloads by namespace, their sums, and what concerns the cluster."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from injector.k8s.workloads import read_group_kind
from podrole.estate.objects import Workload
from podrole.findings import Finding, Section
from podrole.planning.estate import Key, PlanEstate, RunningPod
from podrole.planning.namespaces import NamespacePlan, Scope, plan_namespace
from podrole.planning.nodes import check_nodes
from podrole.planning.pod_plans import Settings
from podrole.planning.resources import Totals, add_totals
from podrole.planning.restarts import How
from podrole.planning.rows import Row


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
        namespaces.append(plan_namespace(name, those, estate, (settings, scope)))
    rows = [row for namespace in namespaces for row in namespace.rows]
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
