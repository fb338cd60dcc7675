"""What a pod waits for: its node, its deletion, its volumes, and its own containers when podrole's have done theirs."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import contract
from injector.k8s.objects import Object, is_reserved, read_list, read_mapping, read_name, read_objects, read_spec
from podrole.diagnosis.pods.added_resources import format_requests, list_requested
from podrole.diagnosis.pods.injection import find_container, find_workload, is_injected
from podrole.diagnosis.pods.progress_findings import Progress
from podrole.diagnosis.state.workload import find_condition, read_time
from podrole.findings import Finding

SIDECAR = contract.SIDECAR_CONTAINER
DONE = "podrole's part is done. "
IMAGE_REASONS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
STARTING = {"ContainerCreating", "PodInitializing"}
"""Reasons to wait that pass by themselves."""

OUR_CONTAINER = re.compile(rf'ontainer "?{contract.RESERVED_PREFIX}')

OVERDUE = timedelta(minutes=1)
"""After the grace period, until a deletion counts as stuck."""

REPLACING = {"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController", "Rollout"}
"""Kinds that create another pod for one that failed. Its numbers tell whether they did."""

VOLUME_REASONS = {"FailedMount", "FailedAttachVolume"}
SANDBOX_REASON = "FailedCreatePodSandBox"
EVENT_REASONS = VOLUME_REASONS | {SANDBOX_REASON}
"""Of events that say more than the pod's status."""


def report_progress(pod: Object, events: Sequence[Object], now: float) -> Iterator[Finding]:
    """Report what keeps a pod from running; `now` in seconds since the epoch."""
    metadata, status = read_mapping(pod, "metadata"), read_mapping(pod, "status")
    names = {key: shlex.quote(str(metadata.get(key))) for key in ("namespace", "name")}
    if metadata.get("deletionTimestamp"):
        yield _report_deletion(pod, now, names)
        return
    if status.get("phase") == "Failed" and status.get("reason"):
        yield _report_end(pod, status, names)
        return
    scheduling = find_condition(pod, "PodScheduled", "False")
    if scheduling is not None:
        yield _report_scheduling(pod, scheduling, names)
        return
    if status.get("phase") == "Succeeded":
        return
    yield from _report_events(pod, events, names)
    yield from _report_own_containers(pod, names)


def is_podrole_done(pod: Object) -> bool:
    """Whether podrole's containers have done what the pod's own ones wait for."""
    statuses = {one.get("name"): one for one in read_objects(read_mapping(pod, "status"), "initContainerStatuses")}
    for name in (contract.REDIRECT_CONTAINER, contract.SIDECAR_CONTAINER):
        if find_container(pod, name) is not None and not _is_done(name, statuses.get(name) or {}):
            return False
    return True


def _is_done(name: str, status: Object) -> bool:
    state = read_mapping(status, "state")
    if name == contract.REDIRECT_CONTAINER:
        return read_mapping(state, "terminated").get("exitCode") == 0
    return state.get("running") is not None and status.get("started") is not False


def _report_deletion(pod: Object, now: float, names: Mapping[str, str]) -> Finding:
    metadata = read_mapping(pod, "metadata")
    due = str(metadata["deletionTimestamp"])
    if datetime.fromtimestamp(now, UTC) < _parse_time(due) + OVERDUE:
        return Progress.TERMINATING.format(due=due)
    if finalizers := read_list(metadata, "finalizers"):
        return Progress.FINALIZERS.format(due=due, names=", ".join(map(str, finalizers)))
    if _is_only_sidecar_left(pod):
        return Progress.SIDECAR_DELAYS_END.format(due=due, **names)
    node = shlex.quote(str(read_spec(pod).get("nodeName")))
    return Progress.TERMINATION_OVERDUE.format(due=due, node=node)


def _is_only_sidecar_left(pod: Object) -> bool:
    own = _read_statuses(pod, "containerStatuses")
    sidecar = next((one for one in _read_statuses(pod, "initContainerStatuses") if one.get("name") == SIDECAR), {})
    is_running = read_mapping(sidecar, "state").get("running") is not None
    return is_running and bool(own) and all(read_mapping(one, "state").get("terminated") for one in own)


def _parse_time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)


def _report_end(pod: Object, status: Object, names: Mapping[str, str]) -> Finding:
    values = {"reason": status.get("reason"), "message": status.get("message") or "no message", **names}
    if OUR_CONTAINER.search(str(values["message"])) and is_injected(pod):
        is_evicted = status.get("reason") == "Evicted"
        return (Progress.EVICTED_BECAUSE_OF_PODROLE if is_evicted else Progress.REJECTED_BY_KUBELET).format(**values)
    owner, _ = find_workload(pod) or ("", "")
    if owner in REPLACING:
        return Progress.FAILED_AND_REPLACED.format(**values, owner=owner)
    return Progress.FAILED.format(**values)


def _report_scheduling(pod: Object, condition: Object, names: Mapping[str, str]) -> Finding:
    if condition.get("reason") == "SchedulingGated":
        gates = (read_name(gate) for gate in read_objects(read_spec(pod), "schedulingGates"))
        return Progress.SCHEDULING_GATED.format(names=", ".join(gates))
    message = condition.get("message") or condition.get("reason")
    if is_injected(pod) and any(f"Insufficient {key}" in str(message) for key in list_requested(pod)):
        return Progress.UNSCHEDULABLE_WITH_PODROLE.format(message=message, added=format_requests(pod))
    return Progress.UNSCHEDULABLE.format(message=message, **names)


def _report_events(pod: Object, events: Sequence[Object], names: Mapping[str, str]) -> Iterator[Finding]:
    """Only while no container has started: events of an earlier moment stay for an hour."""
    statuses = [one for key in ("initContainerStatuses", "containerStatuses") for one in _read_statuses(pod, key)]
    if any(one.get("restartCount") or not read_mapping(one, "state").get("waiting") for one in statuses):
        return
    for event in sorted(events, key=read_time)[-1:]:
        message = " ".join(str(event.get("message") or "").split())
        values = {"last": read_time(event), "message": message, **names}
        if event.get("reason") in VOLUME_REASONS:
            is_ours = f'"{contract.RESERVED_PREFIX}' in message or f"[{contract.RESERVED_PREFIX}" in message
            yield (Progress.PODROLE_VOLUME_NOT_MOUNTED if is_ours else Progress.VOLUME_NOT_MOUNTED).format(**values)
        elif event.get("reason") == SANDBOX_REASON:
            yield Progress.SANDBOX_NOT_CREATED.format(**values)


def _read_statuses(pod: Object, key: str) -> Sequence[Object]:
    return read_objects(read_mapping(pod, "status"), key)


def _report_own_containers(pod: Object, names: Mapping[str, str]) -> Iterator[Finding]:
    """Report the first own init container that has not completed, or else each container that does not run."""
    if not is_podrole_done(pod):
        return
    done = DONE if is_injected(pod) else ""
    sidecars = {one.get("name") for one in read_objects(read_spec(pod), "initContainers") if one.get("restartPolicy")}
    for status in _read_statuses(pod, "initContainerStatuses"):
        is_sidecar = status.get("name") in sidecars
        if is_reserved(status) or _has_completed(status) or (is_sidecar and status.get("started")):
            continue
        yield from _report_own(status, {"done": done, **names}, is_init=not is_sidecar)
        return
    for status in _read_statuses(pod, "containerStatuses"):
        if not is_reserved(status) and not _has_completed(status):
            yield from _report_own(status, {"done": done, **names}, is_init=False)


def _has_completed(status: Object) -> bool:
    return read_mapping(read_mapping(status, "state"), "terminated").get("exitCode") == 0


def _report_own(status: Object, values: Mapping[str, str], *, is_init: bool) -> Iterator[Finding]:
    state, last = read_mapping(status, "state"), read_mapping(read_mapping(status, "lastState"), "terminated")
    named = {**values, "container": shlex.quote(read_name(status))}
    waiting, ended, running = (read_mapping(state, key) for key in ("waiting", "terminated", "running"))
    reason, message = waiting.get("reason"), waiting.get("message") or ""
    if reason in IMAGE_REASONS:
        yield Progress.IMAGE_PULL_FAILED.format(**named, reason=reason, message=message)
    elif waiting and last:
        exited = {"code": last.get("exitCode"), "reason": last.get("reason") or reason}
        yield Progress.CONTAINER_FAILING.format(**named, restarts=status.get("restartCount") or 0, **exited)
    elif waiting and reason and reason not in STARTING:
        yield Progress.CONTAINER_NOT_STARTED.format(**named, reason=reason, message=message)
    elif ended:
        yield Progress.CONTAINER_ENDED.format(
            **named, code=ended.get("exitCode"), reason=ended.get("reason") or "no reason"
        )
    elif running and is_init:
        yield Progress.INIT_RUNNING.format(**named, since=running.get("startedAt"))
    elif running and status.get("ready") is False:
        yield Progress.NOT_READY.format(**named)
