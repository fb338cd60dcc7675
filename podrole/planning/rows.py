"""One row of a plan: a workload, its role now and then, what it costs, and how it is restarted."""

from collections.abc import Iterator, Sequence
from math import ceil
from typing import NamedTuple

from injector.decision.outcomes import Inject, Outcome
from injector.errors import ObjectError
from injector.k8s.objects import Object, read_mapping, read_service_account_name
from podrole.estate.objects import Workload
from podrole.findings import Finding, limit_findings
from podrole.planning.estate import Key, PlanEstate, RunningPod
from podrole.planning.findings import PlanFinding
from podrole.planning.limit_ranges import LimitRanges
from podrole.planning.pod_plans import PodPlan, Settings, Then, plan_pod
from podrole.planning.quotas import Quotas
from podrole.planning.resources import Cost, Totals, measure, multiply
from podrole.planning.restarts import NO_RESTART, How, Restart, plan_restart
from podrole.planning.roles_now import RoleNow, find_role_now
from podrole.planning.row_findings import (
    find_account_problem,
    find_changes,
    find_denials,
    find_lost_injection,
    find_namespace_warnings,
    find_warnings,
)
from podrole.planning.trust import check_trust

SCALED_KINDS = {"Deployment", "ReplicaSet", "ReplicationController", "Rollout", "StatefulSet"}
DEFAULT_SURGE = "25%"


class Row(NamedTuple):
    """A workload in a plan."""

    key: Key
    service_account: str
    pods: int
    """That run, or that should."""

    injected: int
    outdated: int
    """Of the running ones: those that differ from new ones."""

    now: RoleNow
    then: Then
    cost: Cost
    """Of one pod."""

    surge: int
    """Additional pods for a moment, in a rollout."""

    restart: Restart
    findings: tuple[Finding, ...]
    namespace_findings: tuple[Finding, ...] = ()

    @property
    def name(self) -> str:
        """Kind and name."""
        return f"{self.key.kind}/{self.key.name}"

    @property
    def added(self) -> Totals:
        """What its pods request in addition, once all of them are restarted."""
        return multiply(self.cost.added, max(0, self.pods - self.injected))


class Limits(NamedTuple):
    """The limits of a namespace."""

    ranges: LimitRanges
    quotas: Quotas


def build_row(
    key: Key, workload: Workload, running: Sequence[RunningPod], estate: PlanEstate, context: tuple[Limits, Settings]
) -> Row:
    """Plan one workload. A pod template that cannot be read becomes a finding."""
    limits, settings = context
    try:
        pod_plan = plan_pod(workload, estate, settings)
        now = find_role_now(pod_plan.pod, pod_plan.account, running, settings.systems)
        cost = measure(pod_plan.pod, pod_plan.injection, limits.ranges.defaults)
        injected = sum(one.injection is not None for one in running)
        outdated = sum(one.injection != pod_plan.expected for one in running) if pod_plan.expected else 0
        findings = limit_findings(
            [
                *find_account_problem(pod_plan, workload, estate),
                *find_denials(pod_plan, len(running)),
                *_check_limits(pod_plan, cost, limits),
                *find_lost_injection(pod_plan, injected),
                *find_changes(pod_plan, now, cost),
                *_check_trust(pod_plan, workload, settings),
                *find_warnings(pod_plan, workload),
            ]
        )
        return Row(
            key=key,
            service_account=read_service_account_name(pod_plan.pod),
            pods=_count_pods(key, workload.obj, len(running), is_known=_knows_pods(estate)),
            injected=injected,
            outdated=outdated,
            now=now,
            then=pod_plan.then,
            cost=cost,
            surge=_count_surge(key, workload.obj),
            restart=_plan_restart(key, workload, pod_plan, outdated, estate),
            findings=tuple(findings),
            namespace_findings=tuple(find_namespace_warnings(pod_plan)),
        )
    except ObjectError as error:
        finding = PlanFinding.UNREADABLE.format(problem=error)
        then = Then(Outcome.FAIL, message=finding.text)
        pods = len(running)
        return Row(key, "", pods, 0, 0, RoleNow("unknown"), then, Cost(), 0, NO_RESTART, (finding,))


def _check_trust(pod_plan: PodPlan, workload: Workload, settings: Settings) -> Iterator[Finding]:
    if settings.trust and isinstance(pod_plan.decision, Inject):
        pods = workload.namespace, read_service_account_name(pod_plan.pod)
        yield from check_trust(pod_plan.decision, pods, settings.trust, settings.config)


def _knows_pods(estate: PlanEstate) -> bool:
    return estate.is_known_to_miss("Pod")


def _check_limits(pod_plan: PodPlan, cost: Cost, limits: Limits) -> Iterator[Finding]:
    if pod_plan.injection:
        containers = pod_plan.injection.init_containers
        yield from limits.ranges.check(containers, cost.after)
        yield from limits.quotas.check_required(containers, limits.ranges.defaults)


def _plan_restart(key: Key, workload: Workload, pod_plan: PodPlan, outdated: int, estate: PlanEstate) -> Restart:
    if pod_plan.injection is None:
        return NO_RESTART
    restart = plan_restart(key, workload.obj, estate.kinds)
    pods = outdated if _knows_pods(estate) else _count_pods(key, workload.obj, 0, is_known=False)
    is_needed = pods > 0 or restart.how == How.NEXT_RUN
    return restart if is_needed else NO_RESTART


def _count_pods(key: Key, obj: Object, running: int, *, is_known: bool) -> int:
    """Count those that run; of kinds with a number of replicas also those that are missing."""
    spec = read_mapping(obj, "spec")
    replicas = spec.get("replicas", 1)
    if key.kind in SCALED_KINDS and isinstance(replicas, int):
        return max(running, replicas)
    if is_known or key.kind == "CronJob":
        return running
    parallelism = spec.get("parallelism", 1)
    return parallelism if key.kind == "Job" and isinstance(parallelism, int) else 1


def _count_surge(key: Key, obj: Object) -> int:
    """https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#max-surge."""
    spec = read_mapping(obj, "spec")
    strategy = read_mapping(spec, "strategy")
    if (key.group, key.kind) != ("apps", "Deployment") or strategy.get("type") == "Recreate":
        return 0
    surge, replicas = read_mapping(strategy, "rollingUpdate").get("maxSurge", DEFAULT_SURGE), spec.get("replicas", 1)
    text = str(surge)
    if not isinstance(replicas, int) or not text.removesuffix("%").isdecimal():
        return 0
    return ceil(replicas * int(text[:-1]) / 100) if text.endswith("%") else int(text)
