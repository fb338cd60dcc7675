"""The states of a pod's injected containers, as the kubelet reports them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import contract
from contract.modes import Mode
from contract.redirect_remedies import find_remedy
from injector.k8s.objects import Object, read_mapping, read_objects
from podrole.diagnosis.pods.findings import CLOSE_METADATA, Sidecar
from podrole.diagnosis.pods.injection import read_mode
from podrole.diagnosis.pods.progress import IMAGE_REASONS, STARTING
from podrole.findings import Finding


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
        "Raise its memory limit, and restart the workload: "
        "kubectl annotate namespace {namespace} podrole.io/sidecar-resources=limits.memory=128Mi --overwrite",
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
            else Sidecar.CONTAINER_FAILED.format(**_describe_exit(pod, container, ended))
        )
    if restarts:
        return Sidecar.CONTAINER_RESTARTED.format(restarts=restarts, **_describe_exit(pod, container, last))
    values = {"container": container, "since": read_mapping(state, "running").get("startedAt")}
    if status.get("started") is False and container == contract.SIDECAR_CONTAINER:
        return Sidecar.STARTUP_PROBE_FAILING.format(**values, **_name(pod))
    return Sidecar.CONTAINER_RUNNING.format(**values)


def _report_waiting(pod: Object, container: str, waiting: Object, status: Object) -> Finding:
    values = {"container": container, "reason": str(waiting.get("reason")), "message": _quote(waiting.get("message"))}
    if values["reason"] in IMAGE_REASONS:
        return Sidecar.IMAGE_PULL_FAILED.format(**values, **_name(pod))
    if last := read_mapping(read_mapping(status, "lastState"), "terminated"):
        restarts = status.get("restartCount") or 0
        exited = _describe_exit(pod, container, last)
        return Sidecar.CRASH_LOOP.format(reason=values["reason"], restarts=restarts, **exited)
    if waiting.get("reason") and values["reason"] not in STARTING:
        return Sidecar.CONTAINER_NOT_STARTED.format(**values, **_name(pod))
    return Sidecar.CONTAINER_WAITING.format(**values)


def _describe_exit(pod: Object, container: str, ended: Object) -> dict[str, object]:
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
        "remedy": remedy.replace("{namespace}", str(_name(pod)["namespace"])),
    }


def _quote(message: Any) -> str:
    # Without a termination message the kubelet uses the end of the log, where the sidecar's events are lines of JSON.
    lines = [line for line in str(message or "").splitlines() if not line.startswith("{")]
    text = " ".join(" ".join(lines).split())
    return f": {text}" if text else "."
