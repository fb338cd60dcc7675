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
from podrole.planning.quota_scopes import ANY, PodScope, read_scope
from podrole.planning.quotas import Quotas
from podrole.planning.resources import Cost, Totals, measure, multiply
from podrole.planning.restarts import NO_RESTART, How, Restart, plan_restart
from podrole.planning.roles_now import RoleNow, find_role_now
from podrole.planning.row_findings import (
    find_account_problem,
    find_changes,
    find_denials,
    find_irsa,
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
    scope: PodScope = ANY
    part: str = ""
    """The path of the pod template, where the workload has several."""

    @property
    def name(self) -> str:
        """Kind and name, and the path of the pod template where there are several."""
        return f"{self.key.kind}/{self.key.name}{f' {self.part}' if self.part else ''}"

    @property
    def added(self) -> Totals:
        """What its pods request in addition, once all of them are restarted."""
        return multiply(self.cost.added, max(0, self.pods - self.injected))


class Limits(NamedTuple):
    """The limits of a namespace."""

    ranges: LimitRanges
    quotas: Quotas


class RowInput(NamedTuple):
    """A workload with all that its row depends on."""

    key: Key
    workload: Workload
    running: Sequence[RunningPod]
    estate: PlanEstate
    limits: Limits
    settings: Settings

    @property
    def knows_pods(self) -> bool:
        """Whether pods that are not among the running ones do not exist."""
        return self.estate.is_known_to_miss("Pod")


def build_row(given: RowInput) -> Row:
    """Plan one workload. A pod template that cannot be read becomes a finding."""
    try:
        return _build_row(given)
    except ObjectError as error:
        finding = PlanFinding.UNREADABLE.format(problem=error)
        then = Then(Outcome.FAIL, message=finding.text)
        pods = len(given.running)
        return Row(given.key, "", pods, 0, 0, RoleNow("unknown"), then, Cost(), 0, NO_RESTART, (finding,))


def _build_row(given: RowInput) -> Row:
    key, obj, running = given.key, given.workload.obj, given.running
    pod_plan = plan_pod(given.workload, given.estate, given.settings)
    now = find_role_now(pod_plan.pod, pod_plan.account, running, given.settings.systems)
    cost = measure(pod_plan.pod, pod_plan.injection, given.limits.ranges.defaults)
    outdated = sum(one.injection != pod_plan.expected for one in running) if pod_plan.expected else 0
    return Row(
        key=key,
        service_account=read_service_account_name(pod_plan.pod),
        pods=_count_pods(key, obj, len(running), is_known=given.knows_pods),
        injected=_count_injected(running),
        outdated=outdated,
        now=now,
        then=pod_plan.then,
        cost=cost,
        surge=_count_surge(key, obj),
        restart=_plan_restart(given, pod_plan, outdated),
        findings=tuple(limit_findings(_find_all(given, pod_plan, now, cost))),
        namespace_findings=tuple(find_namespace_warnings(pod_plan)),
        scope=_read_scope(given, pod_plan),
    )


def _find_all(given: RowInput, pod_plan: PodPlan, now: RoleNow, cost: Cost) -> Iterator[Finding]:
    yield from find_account_problem(pod_plan, given.workload, given.estate)
    yield from find_denials(pod_plan, len(given.running), is_account_known=given.settings.is_account_known)
    yield from _check_limits(given, pod_plan, cost)
    yield from find_lost_injection(pod_plan, _count_injected(given.running))
    yield from find_changes(pod_plan, now, cost)
    yield from find_irsa(pod_plan, given.key.namespace, has_irsa=given.settings.systems.has_irsa is True)
    yield from _check_trust(pod_plan, given.workload, given.settings)
    yield from find_warnings(pod_plan, given.workload)


def _count_injected(running: Sequence[RunningPod]) -> int:
    return sum(one.injection is not None for one in running)


def _check_trust(pod_plan: PodPlan, workload: Workload, settings: Settings) -> Iterator[Finding]:
    if settings.trust and isinstance(pod_plan.decision, Inject):
        pods = workload.namespace, read_service_account_name(pod_plan.pod)
        yield from check_trust(pod_plan.decision, pods, settings.trust, settings.config)


def _check_limits(given: RowInput, pod_plan: PodPlan, cost: Cost) -> Iterator[Finding]:
    if pod_plan.injection:
        containers, limits = pod_plan.injection.init_containers, given.limits
        yield from limits.ranges.check(containers, cost.after)
        yield from limits.quotas.check_required(containers, limits.ranges.defaults, _read_scope(given, pod_plan))


def _read_scope(given: RowInput, pod_plan: PodPlan) -> PodScope:
    return read_scope(pod_plan.pod, given.estate.default_priority_class)


def _plan_restart(given: RowInput, pod_plan: PodPlan, outdated: int) -> Restart:
    if pod_plan.injection is None:
        return NO_RESTART
    key, obj = given.key, given.workload.obj
    restart = plan_restart(key, obj, given.estate.kinds)
    pods = outdated if given.knows_pods else _count_pods(key, obj, 0, is_known=False)
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
