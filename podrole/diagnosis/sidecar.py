"""What the injected containers of a running pod say: the kubelet's word on them, and the sidecar's own status."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import contract
from contract.text import truncate
from injector.k8s.objects import Object, read_mapping, read_objects
from podrole.diagnosis.injection import read_mode, read_role
from podrole.diagnosis.pod_findings import Sidecar
from podrole.findings import Finding

STATUS_COMMAND = ("python3", "-m", "sidecar.status", "--output", "json")
NEWEST_EVENTS = 3
SHOWN_LENGTH = 100


class End(NamedTuple):
    """What an exit code means, and what to do."""

    meaning: str
    remedy: str


SIDECAR_ENDS = {
    0: End("it was asked to end", ""),
    1: End("its surroundings are wrong", "The message names the port or directory: free it."),
    2: End("its environment is wrong", "Check the webhook's PODROLE_TEMPLATE and PODROLE_* variables."),
    3: End(
        "the metadata addresses do not lead to it",
        "Something took the redirect's rules away or stands in front of them: see podrole-redirect, and which other "
        "containers have NET_ADMIN.",
    ),
    137: End("it was killed, by the kernel if out of memory", "Raise the sidecar's memory limit in the template."),
    143: End("it was ended before it had started", ""),
}
"""docs/configuration.md, "Exit codes", and 128 + 9."""

REDIRECT_REMEDY = (
    "The rules cannot be loaded on this node: its kernel lacks nf_tables (set PODROLE_REDIRECT_BACKEND=iptables) or "
    "its runtime refuses NET_ADMIN (run the namespace in env mode)."
)
IMAGE_REASONS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}


def find_container_states(pod: Object) -> Iterator[Finding]:
    """Tell each injected container's state, as the kubelet reported it."""
    statuses = {one.get("name"): one for one in read_objects(read_mapping(pod, "status"), "initContainerStatuses")}
    for container in _list_containers(pod):
        if container not in statuses:
            yield _tell_missing(pod, container)
        else:
            yield _tell_state(container, statuses[container])


def find_events(events: tuple[Object, ...]) -> Iterator[Finding]:
    """The newest warnings about the pod."""
    warnings = [event for event in events if event.get("type") == "Warning"]
    for event in sorted(warnings, key=_read_time)[-NEWEST_EVENTS:]:
        message = " ".join(str(event.get("message") or "").split())
        count = event.get("count") or read_mapping(event, "series").get("count") or 1
        yield Sidecar.EVENT.format(reason=event.get("reason"), count=count, last=_read_time(event), message=message)


def find_status(pod: Object, output: str) -> Iterator[Finding]:
    """Tell what `sidecar.status` printed. Keys that are unknown are ignored, and one that is missing is unknown."""
    try:
        status = json.loads(output)
    except ValueError:
        status = None
    if not isinstance(status, dict):
        yield tell_unread(pod, f"it answered {truncate(output, SHOWN_LENGTH)!r}.")
        return
    yield _tell_status(status)
    if status.get("source") == "node":
        yield Sidecar.NODE_SOURCE.format()
    serves, specified = status.get("role"), read_role(pod)
    if serves is not None and serves != specified:
        yield Sidecar.SERVING_ANOTHER.format(role=serves, specified=specified)


def tell_unread(pod: Object, problem: str) -> Finding:
    """The sidecar's status could not be asked for; a person may be able to."""
    metadata = read_mapping(pod, "metadata")
    return Sidecar.STATUS_UNREAD.format(
        problem=problem,
        namespace=metadata.get("namespace"),
        name=metadata.get("name"),
        container=contract.SIDECAR_CONTAINER,
        command=" ".join(STATUS_COMMAND),
    )


def is_sidecar_running(pod: Object) -> bool:
    """Whether the sidecar can be asked."""
    statuses = read_objects(read_mapping(pod, "status"), "initContainerStatuses")
    ours = (one for one in statuses if one.get("name") == contract.SIDECAR_CONTAINER)
    return any(read_mapping(one, "state").get("running") is not None for one in ours)


def format_seconds(seconds: float) -> str:
    """A span as a person says it."""
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004 - two hours


def _list_containers(pod: Object) -> tuple[str, ...]:
    both = (contract.REDIRECT_CONTAINER, contract.SIDECAR_CONTAINER)
    return {contract.MODE_BLOCK: both[:1], contract.MODE_ENV: both[1:]}.get(read_mode(pod), both)


def _tell_missing(pod: Object, container: str) -> Finding:
    metadata, status = read_mapping(pod, "metadata"), read_mapping(pod, "status")
    conditions = [one for one in read_objects(status, "conditions") if one.get("status") == "False"]
    reason = next((f" ({one['reason']}: {one.get('message')})" for one in conditions if one.get("reason")), "")
    names = {"namespace": metadata.get("namespace"), "name": metadata.get("name")}
    return Sidecar.NOT_CREATED.format(container=container, phase=status.get("phase") or "new", reason=reason, **names)


def _tell_state(container: str, status: Object) -> Finding:
    state, last = read_mapping(status, "state"), read_mapping(read_mapping(status, "lastState"), "terminated")
    restarts = status.get("restartCount") or 0
    if (waiting := state.get("waiting")) is not None:
        reason, message = str(waiting.get("reason")), _quote(waiting.get("message"))
        if reason in IMAGE_REASONS:
            return Sidecar.IMAGE.format(container=container, reason=reason, message=message)
        if last:
            return Sidecar.CRASHING.format(reason=reason, restarts=restarts, **_describe_end(container, last))
        return Sidecar.WAITING.format(container=container, reason=reason, message=message)
    if (ended := state.get("terminated")) is not None:
        is_done = container == contract.REDIRECT_CONTAINER and ended.get("exitCode") == 0
        return (
            Sidecar.DONE.format(container=container)
            if is_done
            else Sidecar.FAILED.format(**_describe_end(container, ended))
        )
    if restarts:
        return Sidecar.RESTARTED.format(restarts=restarts, **_describe_end(container, last))
    return Sidecar.RUNS.format(container=container, since=read_mapping(state, "running").get("startedAt"))


def _describe_end(container: str, ended: Object) -> dict[str, object]:
    code, reason = ended.get("exitCode"), str(ended.get("reason") or "no reason given")
    end = SIDECAR_ENDS.get(int(code)) if isinstance(code, int) else None
    if container == contract.REDIRECT_CONTAINER:
        end = End(reason, REDIRECT_REMEDY)
    meaning, remedy = end or End(reason, "")
    return {
        "container": container,
        "code": code,
        "meaning": meaning,
        "message": _quote(ended.get("message")),
        "remedy": remedy,
    }


def _quote(message: Any) -> str:
    # The kubelet takes the end of the log where a container leaves no message: the sidecar's events are lines of JSON.
    lines = [line for line in str(message or "").splitlines() if not line.startswith("{")]
    text = " ".join(" ".join(lines).split())
    return f": {text}" if text else "."


def _tell_status(status: Mapping[str, Any]) -> Finding:
    left, failures = status.get("seconds_left"), status.get("failures") or 0
    last = status.get("last_failure")
    failure = last if isinstance(last, dict) else {}
    told = " ".join(str(part) for part in (failure.get("code"), failure.get("message")) if part)
    values = {
        "role": status.get("role") or "its role",
        "left": format_seconds(left) if isinstance(left, int | float) else "an unknown time",
        "failures": failures,
        "failure": f"{told} ({failure['at']})" if told and failure.get("at") else told,
        "remedy": failure.get("hint") or "",
        "refreshed": f", renewed at {status['last_success']}" if status.get("last_success") else "",
    }
    if status.get("state") == "refused":
        return Sidecar.REFUSED.format(**values)
    if status.get("state") != "serving":
        return (Sidecar.NO_CREDENTIALS if told else Sidecar.STARTING).format(**values)
    return (Sidecar.REFRESH_FAILS if failures else Sidecar.SERVING).format(**values)


def _read_time(event: Object) -> str:
    last = event.get("lastTimestamp") or read_mapping(event, "series").get("lastObservedTime")
    return str(last or event.get("eventTime") or "?")
