"""The findings about all workloads of an estate: only what is not ok, each once for a workload."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from contract.text import quote
from injector.errors import ObjectError
from injector.k8s.objects import Metadata, Object, read_mapping, read_service_account_name
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL
from podrole.diagnosis.overview.cluster import report_cluster
from podrole.diagnosis.overview.state import EstateState
from podrole.diagnosis.pods.findings import ExpectedState, Injection, Sidecar
from podrole.diagnosis.pods.injection import is_injected
from podrole.diagnosis.pods.order import choose_pods, is_ready
from podrole.diagnosis.pods.pod import diagnose_pod
from podrole.diagnosis.pods.sidecar import is_sidecar_running
from podrole.diagnosis.state.cluster import OptionalObject, PodState, ReadResult
from podrole.diagnosis.state.workload import WorkloadState
from podrole.diagnosis.workloads.findings import Creation, Overview
from podrole.diagnosis.workloads.workload import diagnose_workload, is_rejected_by_podrole
from podrole.estate.objects import Estate
from podrole.findings import Finding, Level, Section

MAX_PODS = 20
"""Of a workload that are looked at: those that are not ready first."""

MAX_UNREADY = 3
"""Of the pods of a workload that are not ready whose sidecar is asked."""

ATTENTION = (Level.PROBLEM, Level.UNKNOWN, Level.WARNING)
ONCE = {
    Sidecar.STATUS_READ_FAILED.code,
    ExpectedState.SETTINGS_UNKNOWN.code,
    ExpectedState.CONTEXT_READ_FAILED.code,
    Injection.NAMESPACE_READ_FAILED.code,
    Injection.WEBHOOKS_READ_FAILED.code,
    Injection.WEBHOOK_NOT_REGISTERED.code,
}
"""Findings about pods that are reported once for all."""

NOT_INJECTED = Injection.NOT_INJECTED.code
BY_DESIGN = Injection.UNSUPPORTED_POD.code
IMPLIED = {
    NOT_INJECTED: {one.code for one in Injection if one.level in ATTENTION} - {NOT_INJECTED},
    BY_DESIGN: {BY_DESIGN},
    ExpectedState.WOULD_DENY.code: {Creation.DENIED.code},
}
"""Findings about pods that others imply, or that a team has chosen: hostNetwork without a role."""


class OverviewResult(NamedTuple):
    """What was found, and about how much."""

    cluster: Section
    workloads: list[tuple[WorkloadState, Section]]
    """Those with findings."""

    counts: Mapping[str, int]


def list_sidecars(states: Iterable[WorkloadState]) -> list[Object]:
    """The pods whose sidecar's status tells most: some that are not ready, then one of each workload."""
    unready, ready = [], []
    for state in states:
        running = [pod for pod in choose_pods(state.pods, len(state.pods)) if is_sidecar_running(pod)]
        unready += [pod for pod in running if not is_ready(pod)][:MAX_UNREADY]
        ready += [pod for pod in running if is_ready(pod)][:1]
    return [*unready, *ready]


def diagnose_estate(given: EstateState) -> OverviewResult:
    """Report what is not ok, by workload, and what holds for all of them."""
    states = [state for state in given.states if state.namespace not in given.estate.terminating]
    checked = [state for state in states if _is_checked(state, given.estate)]
    skipped = [state for state in states if not _is_checked(state, given.estate)]
    sections = [(state, Section(_format_name(state), _check(state, given))) for state in checked]
    found = [one for one in sections if one[1].findings]
    counts = {
        "workloads": len(checked),
        "pods": sum(len(state.pods) for state in checked),
        "namespaces": len({state.namespace for state in checked}),
        "ok": len(checked) - len(found),
        "not_checked": len(skipped),
        "kinds_not_read": len({one.kind for one in given.estate.unread}),
    }
    return OverviewResult(Section("Cluster", tuple(report_cluster(given, skipped))), found, counts)


def _is_checked(state: WorkloadState, estate: Estate) -> bool:
    """Whether the webhook is called for its pods, or was."""
    namespace = estate.namespaces.get(state.namespace)
    is_unknown = namespace is None and not estate.is_known_to_miss("Namespace")
    is_called = is_unknown or _is_labelled(namespace) or is_rejected_by_podrole(state)
    return is_called or any(map(is_injected, (*state.pods, *state.templates)))


def _is_labelled(namespace: Metadata | None) -> bool:
    return namespace is not None and namespace.labels.get(INJECTION_LABEL) == INJECTION_ENABLED


def _format_name(state: WorkloadState) -> str:
    kind, _, name = state.target.partition("/")
    return f"{kind} {state.namespace}/{name}"


def _check(state: WorkloadState, given: EstateState) -> tuple[Finding, ...]:
    try:
        return tuple(_find_concerns(state, given))
    except ObjectError as error:  # a custom kind can have any fields
        return (Overview.WORKLOAD_NOT_READ.format(problem=error),)


def _find_concerns(state: WorkloadState, given: EstateState) -> Iterator[Finding]:
    """The findings about a workload, then those about its pods: one of each code."""
    findings = diagnose_workload(state, given.build_input(state.namespace))
    yield from (one for one in findings if one.level in ATTENTION and one.code not in ONCE)
    by_code: dict[str, list[tuple[str, Finding]]] = {}
    for pod in choose_pods(state.pods, MAX_PODS):
        name = str(read_mapping(pod, "metadata").get("name"))
        for finding in _diagnose_pod(pod, state, given):
            by_code.setdefault(finding.code, []).append((name, finding))
    reported = {finding.code for finding in findings}
    reported |= {code for code, replacing in IMPLIED.items() if replacing & (by_code.keys() | reported)}
    for code, found in by_code.items():
        if code not in reported:
            yield _merge(found, state)


def _merge(found: list[tuple[str, Finding]], state: WorkloadState) -> Finding:
    name, finding = found[0]
    if state.kind == "pod":
        return finding
    pods = len({name for name, _ in found})
    others = f" and {pods - 1} more" if pods > 1 else ""
    return finding._replace(text=f"{finding.text} (pod {quote(name, 253)}{others})")


def _diagnose_pod(pod: Object, workload: WorkloadState, given: EstateState) -> list[Finding]:
    namespace = workload.namespace
    account = read_service_account_name(pod)
    uid = str(read_mapping(pod, "metadata").get("uid"))
    state = PodState(
        given.installation,
        namespace=_rebuild(namespace, given.estate.namespaces.get(namespace), given.unread_context),
        service_account=_rebuild(account, given.estate.accounts.get((namespace, account)), given.unread_context),
        events=ReadResult((*given.events_by_uid.get(uid, ()),)),
        workload=ReadResult(workload.obj),
        sidecar_status=given.statuses.get(uid, ReadResult(None)),
        now=given.now,
    )
    sections = diagnose_pod(pod, state, {}, given.settings._replace(findings=()))
    return [
        finding
        for section in sections
        if section.title != "Guard"
        for finding in section.findings
        if finding.level in ATTENTION and finding.code not in ONCE
    ]


def _rebuild(name: str, metadata: Metadata | None, error: str) -> OptionalObject:
    """An object with what decisions read of it."""
    if metadata is None or error:
        return ReadResult(None, error)
    return ReadResult({"metadata": {"name": name, "labels": metadata.labels, "annotations": metadata.annotations}})
