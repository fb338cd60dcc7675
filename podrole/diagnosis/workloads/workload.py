"""All findings about a workload itself: whether it has its pods, why new ones are rejected, and what they would get."""

import re
import shlex
from collections.abc import Iterator

from injector.decision.decide import decide
from injector.decision.outcomes import Block, Deny, Inject
from injector.decision.unknown_annotations import find_workload_keys
from injector.k8s.objects import Object, read_mapping
from injector.patch.plan import plan_injection
from injector.reasons import Reason
from podrole.diagnosis.pods.decision_input import DecisionInput
from podrole.diagnosis.pods.expected_state import report_template
from podrole.diagnosis.pods.findings import ExpectedState
from podrole.diagnosis.state.workload import (
    WorkloadState,
    find_condition,
    find_creation_event,
    find_job_end,
    is_observed,
    lacks_pods,
    read_replicas,
    read_time,
)
from podrole.diagnosis.workloads.creation import NewPod, Rejection, explain_rejection, is_by_podrole
from podrole.diagnosis.workloads.findings import Creation, WorkloadFinding
from podrole.diagnosis.workloads.jobs import report_cron_job, report_job
from podrole.findings import Finding

RESTARTABLE = {"deployment", "statefulset", "daemonset"}
CANNOT_CREATE = re.compile(r'cannot create resource "pods"')
DRY_RUN = "dry run"


def diagnose_workload(state: WorkloadState, given: DecisionInput | None) -> tuple[Finding, ...]:
    """Report everything about a workload. Without a context and a configuration, nothing is given."""
    findings = [*_report_numbers(state)]
    rejection = _find_rejection(state) if lacks_pods(state) else None
    if lacks_pods(state):
        findings += _explain_missing_pods(state, rejection, given)
    if given and not (state.kind == "job" and find_job_end(state.obj)):
        for template in state.templates:
            about_new = report_template(template, given.find_context(template), given.effective_config)
            findings += (one for one in about_new if not _is_repeated(one, rejection))
            findings += _report_own_keys(state, template, given)
    return (*dict.fromkeys(findings),)


def _is_repeated(finding: Finding, rejection: Rejection | None) -> bool:
    """Whether it is a denial that the last rejection has reported in the same words."""
    reason = finding.text.partition("] ")[2]
    return finding.code == ExpectedState.WOULD_DENY.code and rejection is not None and reason in rejection.message


def is_rejected_by_podrole(state: WorkloadState) -> bool:
    """Whether it lacks a pod that podrole rejected. A changed selector can do that in any namespace."""
    rejection = _find_rejection(state) if lacks_pods(state) else None
    return rejection is not None and is_by_podrole(rejection)


def _report_numbers(state: WorkloadState) -> Iterator[Finding]:
    names = _name(state)
    if state.events.error:
        yield WorkloadFinding.EVENTS_READ_FAILED.format(problem=state.events.error)
    if _is_paused(state):
        yield WorkloadFinding.PAUSED.format()
    if state.kind == "job":
        yield report_job(state.obj, names)
    elif state.kind == "cronjob":
        yield from report_cron_job(state.obj, state.children, names)
    else:
        yield from _report_replicas(state)
    if (failed := find_condition(state.obj, "Progressing", "False")) is not None:
        values = {"reason": failed.get("reason"), "message": failed.get("message")}
        yield WorkloadFinding.ROLLOUT_FAILED.format(**values, **names)


def _is_paused(state: WorkloadState) -> bool:
    return read_mapping(state.obj, "spec").get("paused") is True


def _report_replicas(state: WorkloadState) -> Iterator[Finding]:
    replicas = read_replicas(state.obj, state.kind)
    if replicas is None:
        return
    if replicas.wanted == 0 and replicas.existing == 0:
        is_daemon_set = state.kind == "daemonset"
        yield (WorkloadFinding.NO_NODE_SELECTED if is_daemon_set else WorkloadFinding.SCALED_TO_ZERO).format()
    elif not is_observed(state.obj, state.kind):
        yield WorkloadFinding.NOT_OBSERVED.format()
    elif replicas.is_complete:
        yield WorkloadFinding.PODS_READY.format(wanted=replicas.wanted)
    else:
        yield WorkloadFinding.PODS_NOT_READY.format(**replicas._asdict(), **_name(state))


def _explain_missing_pods(
    state: WorkloadState, rejection: Rejection | None, given: DecisionInput | None
) -> Iterator[Finding]:
    """What became of the last attempt to create a pod, and what would become of the next one."""
    replicas = read_replicas(state.obj, state.kind)
    if rejection is None and _is_paused(state):
        yield WorkloadFinding.PAUSED_WITHOUT_PODS.format(**_name(state))
        return
    if rejection is None:
        # A StatefulSet waits until the pod before is ready, and a rolling update until a new one is.
        if replicas is None or replicas.existing == 0:
            yield WorkloadFinding.NO_PODS_UNEXPLAINED.format(**_name(state))
            yield from _report_next_attempt(state, given)
        return
    if replicas is not None and replicas.existing > replicas.current:
        yield WorkloadFinding.ROLLOUT_STUCK.format(old=replicas.existing - replicas.current, **_name(state))
    yield from explain_rejection(rejection, _plan(state, given))
    if not rejection.where.startswith(DRY_RUN):
        yield from _report_next_attempt(state, given)


def _find_rejection(state: WorkloadState) -> Rejection | None:
    """The dry run's if it was rejected; otherwise that of the last event, or of the condition."""
    event = find_creation_event(state.events.value)
    seen = f"last event {event.get('reason')} at {read_time(event)}" if event else ""
    dry_run = state.dry_run
    if dry_run and dry_run.pod is None and not CANNOT_CREATE.search(dry_run.message):
        return Rejection(dry_run.message, f"{DRY_RUN} now; {seen}" if seen else f"{DRY_RUN} now")
    if event:
        return Rejection(str(event.get("message")), seen)
    if (condition := find_condition(state.obj, "ReplicaFailure")) is not None:
        return Rejection(str(condition.get("message")), f"condition since {condition.get('lastTransitionTime')}")
    return None


def _report_next_attempt(state: WorkloadState, given: DecisionInput | None) -> Iterator[Finding]:
    names = _name(state)
    can_restart = state.kind in RESTARTABLE
    retry = "kubectl -n {namespace} rollout restart {target}".format(**names) if can_restart else ""
    if state.dry_run and state.dry_run.pod is not None:
        yield Creation.ACCEPTED_NOW.format(retry=retry)
        return
    if state.dry_run:
        yield Creation.DRY_RUN_NOT_POSSIBLE.format(message=state.dry_run.message)
    if given and not any(isinstance(_decide(one, given), Deny) for one in state.templates):
        yield Creation.NOT_DENIED_NOW.format(retry=retry)


def _plan(state: WorkloadState, given: DecisionInput | None) -> NewPod:
    """The first template's pod, with the containers that the webhook would add."""
    pod: Object = next(iter(state.templates), {"spec": {}})
    decision = _decide(pod, given) if given and state.templates else None
    containers: tuple[Object, ...] = ()
    if given and isinstance(decision, Inject | Block):
        config = given.effective_config
        containers = (*plan_injection(decision, pod, config.template, config.config).init_containers,)
    return NewPod(**_name(state), pod=pod, containers=containers)


def _decide(pod: Object, given: DecisionInput) -> object:
    return decide(pod, given.find_context(pod), given.effective_config.config)


def _report_own_keys(state: WorkloadState, template: Object, given: DecisionInput) -> Iterator[Finding]:
    """Keys of the workload's own metadata that belong to its pods, where these have no role or only the default one."""
    decision = _decide(template, given)
    if isinstance(decision, Inject) and decision.reason is not Reason.ROLE_FROM_NAMESPACE:
        return
    path = "spec.jobTemplate.spec.template" if state.kind == "cronjob" else "spec.template"
    where = f"its pod template ({path}.metadata)"
    for explanation in find_workload_keys(state.obj, str(state.obj.get("kind")), template, where):
        yield ExpectedState.INJECTION_WARNING.format(text=explanation.text)


def _name(state: WorkloadState) -> dict[str, str]:
    """For commands."""
    return {"namespace": shlex.quote(state.namespace), "target": shlex.quote(state.target)}
