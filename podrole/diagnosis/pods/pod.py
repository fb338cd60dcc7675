"""All findings about one pod."""

import shlex
from collections.abc import Iterator, Mapping, Sequence

from contract.modes import Mode
from injector.decision.context import ClusterContext
from injector.decision.unknown_annotations import find_workload_keys
from injector.decision.unsupported import find_unsupported
from injector.k8s.objects import Object, parse_metadata, read_mapping, read_name
from podrole.diagnosis.installation.findings import Guard
from podrole.diagnosis.installation.guard import check_guard
from podrole.diagnosis.pods.changed_by import explain_changes
from podrole.diagnosis.pods.container_states import report_container_states
from podrole.diagnosis.pods.decision_input import Settings, load_settings
from podrole.diagnosis.pods.expected_state import RunningPod, compare_with_expected_state
from podrole.diagnosis.pods.findings import ExpectedState, Injection
from podrole.diagnosis.pods.injection import PodCreation, explain_injection, is_injected, read_mode, read_owner_kind
from podrole.diagnosis.pods.progress import report_progress
from podrole.diagnosis.pods.restart import fit_restart
from podrole.diagnosis.pods.sidecar import (
    is_sidecar_running,
    report_events,
    report_status,
    report_unread_status,
)
from podrole.diagnosis.state.cluster import Installation, PodState, ReadResult
from podrole.diagnosis.state.versions import read_server_version
from podrole.diagnosis.state.webhooks import find_podrole_webhooks
from podrole.findings import Finding, Section


def diagnose_pod(
    pod: Object, state: PodState, environ: Mapping[str, str], settings: Settings | None = None
) -> list[Section]:
    """Report everything about a pod; `environ` is the caller's. `settings`: where they are loaded already."""
    settings = settings or load_settings(state.installation, environ)
    expected = (*_compare_with_expected_state(pod, state, settings), *_report_owner(pod, state))
    sections = [
        Section("Injection", tuple(_explain_injection(pod, state, expected))),
        Section("Expected state", expected),
        Section("Guard", tuple(_check_guard(state.installation))),
        Section("Injected containers", tuple(_report_containers(pod, state))),
        Section("Pod", tuple(report_progress(pod, state.events.value, state.now))),
    ]
    return [section._replace(findings=tuple(_fit_remedies(section, pod, state))) for section in sections]


def _fit_remedies(section: Section, pod: Object, state: PodState) -> Iterator[Finding]:
    workload = state.workload.value or state.owner.value
    name = shlex.quote(read_name(read_mapping(pod, "metadata"), "name"))
    for finding in section.findings:
        yield finding._replace(remedy=fit_restart(finding.remedy, workload, name)) if workload else finding


def _explain_injection(pod: Object, state: PodState, expected: Sequence[Finding]) -> Iterator[Finding]:
    webhooks = state.installation.webhooks
    own_webhooks = ReadResult(tuple(find_podrole_webhooks(webhooks.value)), webhooks.error)
    is_refused = any(one.code in {ExpectedState.WOULD_DENY.code, ExpectedState.WOULD_SKIP.code} for one in expected)
    for finding in explain_injection(PodCreation(pod, state.namespace, own_webhooks, find_unsupported(pod))):
        is_useless = is_refused and finding.code == Injection.CREATED_BEFORE_LABEL.code
        yield finding._replace(remedy="") if is_useless else finding


def _compare_with_expected_state(pod: Object, state: PodState, settings: Settings) -> Iterator[Finding]:
    results = (state.namespace, state.service_account, state.installation.version)
    errors = [result.error for result in results if result.error]
    yield from (one for one in settings.findings if not errors or one.code != ExpectedState.SETTINGS_UNKNOWN.code)
    if errors:
        yield ExpectedState.CONTEXT_READ_FAILED.format(problem="; ".join(errors))
    elif settings.effective_config is not None:
        running = RunningPod(pod, _build_cluster_context(state), settings.effective_config)
        yield from compare_with_expected_state(running)
        if state.dry_run is not None:
            yield from explain_changes(running, state.dry_run, state.installation.webhooks.value)


def _report_owner(pod: Object, state: PodState) -> Iterator[Finding]:
    """Name keys of the controller that belong to its pods. A ReplicaSet has copies of its Deployment's annotations."""
    if state.owner.value is None:
        return
    path = "its pod template (spec.template.metadata)"
    for explanation in find_workload_keys(state.owner.value, read_owner_kind(pod), pod, path):
        yield ExpectedState.INJECTION_WARNING.format(text=explanation.text)


def _check_guard(installation: Installation) -> Iterator[Finding]:
    results = (installation.deployment, installation.policies, installation.policy_bindings)
    if errors := [result.error for result in results if result.error]:
        yield Guard.GUARD_READ_FAILED.format(problem="; ".join(errors))
    else:
        yield from check_guard(installation)


def _build_cluster_context(state: PodState) -> ClusterContext:
    namespace, account = state.namespace.value, state.service_account.value
    return ClusterContext(
        None if namespace is None else parse_metadata(namespace),
        None if account is None else parse_metadata(account),
        read_server_version(state.installation.version.value),
    )


def _report_containers(pod: Object, state: PodState) -> Iterator[Finding]:
    if not is_injected(pod):
        return
    yield from report_container_states(pod)
    if read_mode(pod) != Mode.BLOCK and is_sidecar_running(pod):
        status = state.sidecar_status
        if status.value is None:
            yield report_unread_status(pod, status.error)
        else:
            yield from report_status(pod, status.value)
    yield from report_events(state.events.value)
