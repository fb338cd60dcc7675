"""What a pod's sidecar reports about itself, and the warnings about the pod."""

from collections.abc import Iterator, Mapping
from typing import Any

import contract
from contract.text import quote
from injector.k8s.objects import Object, as_mapping, parse_object, read_mapping, read_objects
from podrole.diagnosis.pods.findings import Sidecar
from podrole.diagnosis.pods.injection import read_role
from podrole.diagnosis.pods.sts_commands import find_command
from podrole.diagnosis.state.workload import read_time
from podrole.findings import Finding

STATUS_COMMAND = ("python3", "-m", "sidecar.status", "--output", "json")
ENDLESS = 1e9
"""Seconds; no credentials live as long. JSON has no infinity, but Python reads one, and 1e999 is one as well."""

MAX_EVENTS = 3
MAX_OUTPUT_LENGTH = 100
MAX_REASON_LENGTH = 200


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
