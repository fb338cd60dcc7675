"""The findings that hold for all workloads of an estate: what could not be read or was not checked, and the guard."""

from collections.abc import Iterator

from podrole.diagnosis.installation.findings import Guard
from podrole.diagnosis.installation.guard import check_guard
from podrole.diagnosis.overview.state import EstateState
from podrole.diagnosis.overview.unlabelled import report_unlabelled
from podrole.diagnosis.pods.findings import Injection
from podrole.diagnosis.state.check_context import join_names
from podrole.diagnosis.state.cluster import Installation
from podrole.diagnosis.state.webhooks import find_podrole_webhooks
from podrole.diagnosis.state.workload import WorkloadState
from podrole.diagnosis.workloads.findings import Overview
from podrole.findings import Finding, Level, limit_findings


def report_cluster(given: EstateState, skipped: list[WorkloadState]) -> Iterator[Finding]:
    """Report what concerns no single workload. `skipped`: those that were not checked."""
    installation = given.installation
    yield from given.settings.findings
    if not installation.webhooks.error and not find_podrole_webhooks(installation.webhooks.value):
        yield Injection.WEBHOOK_NOT_REGISTERED.format(
            recreate="kubectl -n NAMESPACE rollout restart deployment,statefulset,daemonset"
        )
    if installation.webhooks.error:
        yield Injection.WEBHOOKS_READ_FAILED.format(problem=installation.webhooks.error)
    yield from _report_guard(installation)
    unread = given.estate.unread
    yield from limit_findings(
        Overview.KIND_NOT_READ.format(kind=one.kind, problem=one.error, remedy=one.remedy) for one in unread
    )
    if given.events_error:
        yield Overview.EVENTS_NOT_READ.format(problem=given.events_error)
    yield from _report_statuses(given)
    yield from report_unlabelled(given, skipped)
    if names := sorted({state.namespace for state in given.states} & given.estate.terminating):
        yield Overview.NAMESPACES_TERMINATING.format(namespaces=join_names(names))


def _report_guard(installation: Installation) -> Iterator[Finding]:
    results = (installation.deployment, installation.policies, installation.policy_bindings)
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
