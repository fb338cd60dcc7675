"""All findings about one pod."""

from collections.abc import Iterator, Mapping

from contract.modes import Mode
from injector.decision.context import ClusterContext
from injector.decision.rules import find_unsupported
from injector.decision.unknown_annotations import find_workload_keys
from injector.errors import ConfigError
from injector.k8s.objects import Object, parse_metadata
from podrole.diagnosis.cluster_state import Installation, PodState, ReadResult
from podrole.diagnosis.expected_state import RunningPod, compare_with_expected_state
from podrole.diagnosis.guard import check_guard
from podrole.diagnosis.injection import PodCreation, explain_injection, is_injected, read_mode, read_owner_kind
from podrole.diagnosis.installed_config import build_effective_config, find_deployment
from podrole.diagnosis.pod_findings import ExpectedState
from podrole.diagnosis.sidecar import (
    is_sidecar_running,
    report_container_states,
    report_events,
    report_status,
    report_unread_status,
)
from podrole.diagnosis.versions import read_server_version
from podrole.diagnosis.webhook_findings import Guard
from podrole.diagnosis.webhooks import find_podrole_webhooks
from podrole.findings import Finding, Section


def diagnose_pod(pod: Object, state: PodState, environ: Mapping[str, str]) -> list[Section]:
    """Report everything about a pod; `environ` is the caller's."""
    return [
        Section("Injection", tuple(_explain_injection(pod, state))),
        Section("Expected state", (*_compare_with_expected_state(pod, state, environ), *_report_owner(pod, state))),
        Section("Guard", tuple(_check_guard(state.installation))),
        Section("Injected containers", tuple(_report_containers(pod, state))),
    ]


def _explain_injection(pod: Object, state: PodState) -> Iterator[Finding]:
    webhooks = state.installation.webhooks
    own_webhooks = ReadResult(tuple(find_podrole_webhooks(webhooks.value)), webhooks.error)
    yield from explain_injection(PodCreation(pod, state.namespace, own_webhooks, find_unsupported(pod)))


def _compare_with_expected_state(pod: Object, state: PodState, environ: Mapping[str, str]) -> Iterator[Finding]:
    deployed_env = state.installation.deployed_env
    if deployed_env and deployed_env.gaps:
        yield ExpectedState.SETTINGS_NOT_READ.format(gaps=", ".join(deployed_env.gaps))
    results = (state.namespace, state.service_account, state.installation.version)
    if errors := [result.error for result in results if result.error]:
        yield ExpectedState.CONTEXT_READ_FAILED.format(problem="; ".join(errors))
        return
    try:
        effective_config = build_effective_config(deployed_env, environ)
    except ConfigError as error:
        yield ExpectedState.SETTINGS_UNKNOWN.format(problem=_join([*_list_unread_settings(state), str(error)]))
        return
    yield from compare_with_expected_state(RunningPod(pod, _build_cluster_context(state), effective_config))


def _report_owner(pod: Object, state: PodState) -> Iterator[Finding]:
    """Name keys of the controller that belong to its pods. A ReplicaSet has copies of its Deployment's annotations."""
    if state.owner.value is None:
        return
    path = "its pod template (spec.template.metadata)"
    for explanation in find_workload_keys(state.owner.value, read_owner_kind(pod), pod, path):
        yield ExpectedState.INJECTION_WARNING.format(text=explanation.text)


def _check_guard(installation: Installation) -> Iterator[Finding]:
    results = (installation.deployment, installation.policy_bindings)
    if errors := [result.error for result in results if result.error]:
        yield Guard.GUARD_READ_FAILED.format(problem="; ".join(errors))
    else:
        yield from check_guard(installation)


def _list_unread_settings(state: PodState) -> list[str]:
    installation = state.installation
    errors = [result.error for result in (installation.deployment, installation.config_maps) if result.error]
    if errors or installation.deployment.value is not None:
        return errors
    where = find_deployment(installation.webhooks.value)
    return ["Deployment {}/{} with the webhook's configuration does not exist".format(*where)]


def _build_cluster_context(state: PodState) -> ClusterContext:
    namespace, account = state.namespace.value, state.service_account.value
    return ClusterContext(
        None if namespace is None else parse_metadata(namespace),
        None if account is None else parse_metadata(account),
        read_server_version(state.installation.version.value),
    )


def _join(problems: list[str]) -> str:
    return "; ".join(" ".join(problem.split()) for problem in problems)


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
