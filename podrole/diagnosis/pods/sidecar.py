"""The state of a pod's injected containers: as the kubelet reports it, and the sidecar's own status."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import contract
from contract.modes import Mode
from contract.redirect_remedies import find_remedy
from contract.text import quote
from injector.k8s.objects import Object, as_mapping, parse_object, read_mapping, read_objects
from podrole.diagnosis.pods.findings import CLOSE_METADATA, Sidecar
from podrole.diagnosis.pods.injection import read_mode, read_role
from podrole.diagnosis.pods.progress import IMAGE_REASONS, STARTING
from podrole.diagnosis.pods.sts_commands import find_command
from podrole.diagnosis.state.workload import read_time
from podrole.findings import Finding

STATUS_COMMAND = ("python3", "-m", "sidecar.status", "--output", "json")
ENDLESS = 1e9
"""Seconds; no credentials live as long. JSON has no infinity, but Python reads one, and 1e999 is one as well."""

MAX_EVENTS = 3
MAX_OUTPUT_LENGTH = 100
MAX_REASON_LENGTH = 200


class ExitReason(NamedTuple):
    """The meaning of an exit code, and what to do."""

    meaning: str
    remedy: str


SIDECAR_EXIT_CODES = {
    0: ExitReason("it stopped on request", ""),
    1: ExitReason("it could not start", "The message names the port or directory: make it available."),
    2: ExitReason("its configuration is invalid", "Check the webhook's PODROLE_TEMPLATE and PODROLE_* variables."),
    3: ExitReason(
        "requests to the metadata addresses do not reach it",
        "The redirect rules were removed, or other rules take precedence: check podrole-redirect, and which other "
        "containers have NET_ADMIN.",
    ),
    4: ExitReason(
        "the node's metadata service answers the pod, and PODROLE_REQUIRE_CLOSED_METADATA is true",
        CLOSE_METADATA,
    ),
    137: ExitReason(
        "it was killed, for example when out of memory",
        "Raise the sidecar's memory limit in the template.",
    ),
    143: ExitReason("it was terminated before it was ready", ""),
}
"""docs/configuration.md, "Exit codes", and 128 + 9."""

REDIRECT_REMEDY = (
    "The rules cannot be loaded on this node: its kernel lacks nf_tables (set PODROLE_REDIRECT_BACKEND=iptables) or "
    "its runtime does not allow NET_ADMIN (run the namespace in env mode)."
)


def report_container_states(pod: Object) -> Iterator[Finding]:
    """Report the state of each injected container, from the pod's status."""
    statuses = {one.get("name"): one for one in read_objects(read_mapping(pod, "status"), "initContainerStatuses")}
    for container in _list_containers(pod):
        if container not in statuses:
            yield _report_missing(pod, container)
        else:
            yield _report_state(pod, container, statuses[container])


def report_events(events: tuple[Object, ...]) -> Iterator[Finding]:
    """Report the newest MAX_EVENTS warnings about the pod."""
    warnings = [event for event in events if event.get("type") == "Warning"]
    for event in sorted(warnings, key=read_time)[-MAX_EVENTS:]:
        message = " ".join(str(event.get("message") or "").split())
        count = event.get("count") or read_mapping(event, "series").get("count") or 1
        yield Sidecar.EVENT.format(reason=event.get("reason"), count=count, last=read_time(event), message=message)


def report_status(pod: Object, output: str) -> Iterator[Finding]:
    """Report what `sidecar.status` printed. Unknown keys are ignored, and missing keys count as unknown."""
    status = parse_object(output)
    if status is None:
        yield report_unread_status(pod, f"the output {quote(output, MAX_OUTPUT_LENGTH)!r} is not valid.")
        return
    yield _format_status(pod, status)
    if isinstance(node := status.get("node_metadata"), dict):
        yield _report_node_metadata(node)
    if isinstance(error := status.get("state_file_error"), str) and error:
        yield Sidecar.STATE_NOT_SAVED.format(error=quote(error, MAX_REASON_LENGTH))
    if status.get("source") == "node":
        yield Sidecar.NODE_CREDENTIAL_SOURCE.format()
    serves, specified = status.get("role"), read_role(pod)
    if serves is not None and serves != specified:
        yield Sidecar.ROLE_MISMATCH.format(role=serves, specified=specified)


def _report_node_metadata(measured: Mapping[str, Any]) -> Finding:
    addresses = as_mapping(measured.get("addresses"))
    named = {name: one for name, one in addresses.items() if isinstance(one, dict)}
    values = {
        "addresses": ", ".join(f"{name} {one.get('reason')}" for name, one in named.items()) or "no address",
        "measured": measured.get("measured"),
    }
    template = Sidecar.NODE_METADATA_CLOSED if measured.get("state") == "closed" else Sidecar.NODE_METADATA_OPEN
    return template.format(**values)


def report_unread_status(pod: Object, problem: str) -> Finding:
    """Report that the sidecar's status could not be read, with the command to read it by hand."""
    metadata = read_mapping(pod, "metadata")
    return Sidecar.STATUS_READ_FAILED.format(
        problem=problem,
        namespace=metadata.get("namespace"),
        name=metadata.get("name"),
        container=contract.SIDECAR_CONTAINER,
        command=" ".join(STATUS_COMMAND),
    )


def is_sidecar_running(pod: Object) -> bool:
    """Return whether the sidecar runs, so that its status can be read."""
    statuses = read_objects(read_mapping(pod, "status"), "initContainerStatuses")
    states = (read_mapping(one, "state") for one in statuses if one.get("name") == contract.SIDECAR_CONTAINER)
    return any(state.get("running") is not None for state in states)


def format_seconds(seconds: float) -> str:
    """Format a duration in the largest units that fit."""
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004 - two hours


def _list_containers(pod: Object) -> tuple[str, ...]:
    both = (contract.REDIRECT_CONTAINER, contract.SIDECAR_CONTAINER)
    return {str(Mode.BLOCK): both[:1], str(Mode.ENV): both[1:]}.get(read_mode(pod), both)


def _report_missing(pod: Object, container: str) -> Finding:
    status = read_mapping(pod, "status")
    conditions = [one for one in read_objects(status, "conditions") if one.get("status") == "False"]
    reason = next((f" ({one['reason']}: {one.get('message')})" for one in conditions if one.get("reason")), "")
    return Sidecar.CONTAINER_NOT_CREATED.format(
        container=container, phase=status.get("phase") or "new", reason=reason, **_name(pod)
    )


def _name(pod: Object) -> dict[str, object]:
    metadata = read_mapping(pod, "metadata")
    return {"namespace": metadata.get("namespace"), "name": metadata.get("name")}


def _report_state(pod: Object, container: str, status: Object) -> Finding:
    state, last = read_mapping(status, "state"), read_mapping(read_mapping(status, "lastState"), "terminated")
    restarts = status.get("restartCount") or 0
    if (waiting := state.get("waiting")) is not None:
        return _report_waiting(pod, container, waiting, status)
    if (ended := state.get("terminated")) is not None:
        is_done = container == contract.REDIRECT_CONTAINER and ended.get("exitCode") == 0
        return (
            Sidecar.CONTAINER_COMPLETED.format(container=container)
            if is_done
            else Sidecar.CONTAINER_FAILED.format(**_describe_exit(container, ended))
        )
    if restarts:
        return Sidecar.CONTAINER_RESTARTED.format(restarts=restarts, **_describe_exit(container, last))
    return Sidecar.CONTAINER_RUNNING.format(container=container, since=read_mapping(state, "running").get("startedAt"))


def _report_waiting(pod: Object, container: str, waiting: Object, status: Object) -> Finding:
    values = {"container": container, "reason": str(waiting.get("reason")), "message": _quote(waiting.get("message"))}
    if values["reason"] in IMAGE_REASONS:
        return Sidecar.IMAGE_PULL_FAILED.format(**values)
    if last := read_mapping(read_mapping(status, "lastState"), "terminated"):
        restarts = status.get("restartCount") or 0
        exited = _describe_exit(container, last)
        return Sidecar.CRASH_LOOP.format(reason=values["reason"], restarts=restarts, **exited)
    if waiting.get("reason") and values["reason"] not in STARTING:
        return Sidecar.CONTAINER_NOT_STARTED.format(**values, **_name(pod))
    return Sidecar.CONTAINER_WAITING.format(**values)


def _describe_exit(container: str, ended: Object) -> dict[str, object]:
    code, reason = ended.get("exitCode"), str(ended.get("reason") or "unknown reason")
    end = SIDECAR_EXIT_CODES.get(int(code)) if isinstance(code, int) else None
    if container == contract.REDIRECT_CONTAINER:
        end = ExitReason(reason, find_remedy(str(ended.get("message") or "")) or REDIRECT_REMEDY)
    meaning, remedy = end or ExitReason(reason, "")
    return {
        "container": container,
        "code": code,
        "meaning": meaning,
        "message": _quote(ended.get("message")),
        "remedy": remedy,
    }


def _quote(message: Any) -> str:
    # Without a termination message the kubelet uses the end of the log, where the sidecar's events are lines of JSON.
    lines = [line for line in str(message or "").splitlines() if not line.startswith("{")]
    text = " ".join(" ".join(lines).split())
    return f": {text}" if text else "."


def _format_status(pod: Object, status: Mapping[str, Any]) -> Finding:
    left, failures = status.get("seconds_left"), status.get("failures") or 0
    failure = as_mapping(status.get("last_failure"))
    message = " ".join(str(part) for part in (failure.get("code"), failure.get("message")) if part)
    values = {
        "role": status.get("role") or "its role",
        "left": format_seconds(left) if isinstance(left, int | float) and abs(left) < ENDLESS else "an unknown time",
        "failures": failures,
        "failure": f"{message} ({failure['at']})" if message and failure.get("at") else message,
        "remedy": failure.get("hint") or "",
        "refreshed": f", renewed at {status['last_success']}" if status.get("last_success") else "",
    }
    if status.get("state") == "refused":
        command = find_command(pod, str(values["role"]), failure)
        finding = Sidecar.STS_DENIED.format(**values, command=command)
        return finding._replace(remedy=finding.remedy.strip())
    if status.get("state") != "serving":
        return (Sidecar.NO_CREDENTIALS if message else Sidecar.NO_CREDENTIALS_YET).format(**values)
    return (Sidecar.REFRESH_FAILING if failures else Sidecar.SERVING).format(**values)
