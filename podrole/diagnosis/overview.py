"""The findings about all workloads of an estate: only what is not ok, each once for a workload."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from contract.text import quote
from injector.k8s.objects import Metadata, Object, read_mapping, read_service_account_name
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL
from podrole.diagnosis.check_context import join_names
from podrole.diagnosis.cluster_state import Installation, OptionalObject, PodState, ReadResult
from podrole.diagnosis.decision_input import DecisionInput, Settings
from podrole.diagnosis.estate_state import index_events
from podrole.diagnosis.guard import check_guard
from podrole.diagnosis.injection import is_injected
from podrole.diagnosis.pod import diagnose_pod
from podrole.diagnosis.pod_findings import ExpectedState, Injection, Sidecar
from podrole.diagnosis.pod_order import choose_pods, is_ready
from podrole.diagnosis.sidecar import is_sidecar_running
from podrole.diagnosis.versions import read_server_version
from podrole.diagnosis.webhook_findings import Guard
from podrole.diagnosis.webhooks import find_podrole_webhooks
from podrole.diagnosis.workload import diagnose_workload
from podrole.diagnosis.workload_findings import Overview
from podrole.diagnosis.workload_state import WorkloadState
from podrole.estate.objects import Estate
from podrole.findings import Finding, Level, Section

MAX_PODS = 20
"""Of a workload that are looked at: those that are not ready first."""

MAX_UNREADY = 3
"""Of the pods of a workload that are not ready whose sidecar is asked."""

ATTENTION = (Level.PROBLEM, Level.UNKNOWN, Level.WARNING)
ONCE = {Sidecar.STATUS_READ_FAILED.code, ExpectedState.SETTINGS_UNKNOWN.code, Injection.WEBHOOK_NOT_REGISTERED.code}
"""Findings about pods that are reported once for all."""

RECREATE_ALL = "kubectl rollout restart   # of every workload that needs a role"

NOT_INJECTED = Injection.NOT_INJECTED.code
BY_DESIGN = Injection.UNSUPPORTED_POD.code
IMPLIED = {
    NOT_INJECTED: {one.code for one in Injection if one.level in ATTENTION} - {NOT_INJECTED},
    BY_DESIGN: {BY_DESIGN},
}
"""Findings about pods that others imply, or that a team has chosen: hostNetwork without a role."""

Uid = str


@dataclass(frozen=True)
class EstateState:
    """Everything that was read about many workloads."""

    installation: Installation
    settings: Settings
    estate: Estate
    states: tuple[WorkloadState, ...]
    statuses: Mapping[Uid, ReadResult[str | None]]
    """Of sidecars, by the pod's uid."""

    now: float
    events: tuple[Object, ...] = ()
    """About pods that were not created, and about volumes and sandboxes of pods."""

    events_error: str = ""
    statuses_omitted: int = 0
    namespace: str = ""
    """The only one that was read; empty for all."""

    @cached_property
    def events_by_uid(self) -> Mapping[object, list[Object]]:
        """Events by the uid of their object."""
        return index_events(self.events)

    @cached_property
    def accounts(self) -> Mapping[str, Mapping[str, Metadata]]:
        """ServiceAccounts by namespace and name."""
        found: dict[str, dict[str, Metadata]] = {}
        for (namespace, name), account in self.estate.accounts.items():
            found.setdefault(namespace, {})[name] = account
        return found


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
    checked = [state for state in given.states if _is_checked(state, given.estate)]
    skipped = [state for state in given.states if not _is_checked(state, given.estate)]
    sections = [(state, Section(_format_name(state), tuple(_find_concerns(state, given)))) for state in checked]
    found = [one for one in sections if one[1].findings]
    counts = {
        "workloads": len(checked),
        "pods": sum(len(state.pods) for state in checked),
        "namespaces": len({state.namespace for state in checked}),
        "ok": len(checked) - len(found),
        "not_checked": len(skipped),
    }
    return OverviewResult(Section("Cluster", tuple(_report_cluster(given, skipped))), found, counts)


def _is_checked(state: WorkloadState, estate: Estate) -> bool:
    """Whether the webhook is called for its pods, or was."""
    return _is_labelled(estate.namespaces.get(state.namespace)) or any(
        map(is_injected, (*state.pods, *state.templates))
    )


def _is_labelled(namespace: Metadata | None) -> bool:
    return namespace is not None and namespace.labels.get(INJECTION_LABEL) == INJECTION_ENABLED


def _format_name(state: WorkloadState) -> str:
    kind, _, name = state.target.partition("/")
    return f"{kind} {state.namespace}/{name}"


def _find_concerns(state: WorkloadState, given: EstateState) -> Iterator[Finding]:
    """The findings about a workload, then those about its pods: one of each code."""
    findings = diagnose_workload(state, _build_input(state.namespace, given))
    yield from (one for one in findings if one.level in ATTENTION and one.code not in ONCE)
    by_code: dict[str, list[tuple[str, Finding]]] = {}
    for pod in choose_pods(state.pods, MAX_PODS):
        name = str(read_mapping(pod, "metadata").get("name"))
        for finding in _diagnose_pod(pod, state.namespace, given):
            by_code.setdefault(finding.code, []).append((name, finding))
    reported = {finding.code for finding in findings}
    reported |= {code for code, replacing in IMPLIED.items() if replacing & by_code.keys()}
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


def _diagnose_pod(pod: Object, namespace: str, given: EstateState) -> list[Finding]:
    account = read_service_account_name(pod)
    uid = str(read_mapping(pod, "metadata").get("uid"))
    state = PodState(
        given.installation,
        namespace=_rebuild(namespace, given.estate.namespaces.get(namespace)),
        service_account=_rebuild(account, given.estate.accounts.get((namespace, account))),
        events=ReadResult((*given.events_by_uid.get(uid, ()),)),
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


def _rebuild(name: str, metadata: Metadata | None) -> OptionalObject:
    """An object with what decisions read of it."""
    if metadata is None:
        return ReadResult(None)
    return ReadResult({"metadata": {"name": name, "labels": metadata.labels, "annotations": metadata.annotations}})


def _build_input(namespace: str, given: EstateState) -> DecisionInput | None:
    if given.settings.effective_config is None:
        return None
    accounts, found = given.accounts.get(namespace, {}), given.estate.namespaces.get(namespace)
    version = read_server_version(given.installation.version.value)
    return DecisionInput(given.settings.effective_config, found, accounts, version)


def _report_cluster(given: EstateState, skipped: list[WorkloadState]) -> Iterator[Finding]:
    installation = given.installation
    yield from given.settings.findings
    if not installation.webhooks.error and not find_podrole_webhooks(installation.webhooks.value):
        yield Injection.WEBHOOK_NOT_REGISTERED.format(
            recreate="kubectl rollout restart: all workloads that need a role"
        )
    yield from _report_guard(installation)
    for unread in given.estate.unread:
        yield Overview.KIND_NOT_READ.format(kind=unread.kind, problem=unread.error)
    if given.events_error:
        yield Overview.EVENTS_NOT_READ.format(problem=given.events_error)
    yield from _report_statuses(given)
    yield from _report_skipped(given, skipped)


def _report_guard(installation: Installation) -> Iterator[Finding]:
    results = (installation.deployment, installation.policy_bindings)
    if errors := [result.error for result in results if result.error]:
        yield Guard.GUARD_READ_FAILED.format(problem="; ".join(errors))
    else:
        yield from (one for one in check_guard(installation) if one.level != Level.OK)


def _report_statuses(given: EstateState) -> Iterator[Finding]:
    if errors := [one.error for one in given.statuses.values() if one.error]:
        yield Overview.STATUSES_NOT_READ.format(count=len(errors), problem=errors[0])
    if given.statuses_omitted:
        read, omitted = len(given.statuses), given.statuses_omitted
        yield Overview.STATUSES_OMITTED.format(read=read, omitted=omitted, needed=read + omitted)


def _report_skipped(given: EstateState, skipped: list[WorkloadState]) -> Iterator[Finding]:
    if not skipped:
        return
    namespaces = sorted({state.namespace for state in skipped})
    values = {"workloads": len(skipped), "with_role": sum(_sets_role(state, given) for state in skipped)}
    if given.namespace:
        yield Overview.NAMESPACE_NOT_LABELLED.format(namespace=given.namespace, **values)
    else:
        yield Overview.NAMESPACES_NOT_LABELLED.format(
            count=len(namespaces), namespaces=join_names(namespaces), **values
        )


def _sets_role(state: WorkloadState, given: EstateState) -> bool:
    """Whether a pod of it would get a role, or be denied, in a namespace with the label."""
    decided = _build_input(state.namespace, given)
    if decided is None:
        return False
    return any(decided.would_have_role(pod) for pod in state.templates or state.pods[:1])
