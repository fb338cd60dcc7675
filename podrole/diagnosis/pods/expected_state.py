"""What the webhook would do with a running pod now, and how the pod differs from that."""

from collections.abc import Iterator
from typing import NamedTuple

from contract.modes import Mode
from injector.config import Config
from injector.decision.context import ClusterContext
from injector.decision.decide import decide
from injector.decision.node_access import find_missing_limits
from injector.decision.outcomes import Block, Decision, Deny, Inject, Skip
from injector.k8s.objects import EMPTY_METADATA, Object, read_app_containers, read_name
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL
from injector.patch.plan import plan_injection
from injector.patch.uninject import build_uninject_patch
from injector.reasons import Explanation, Reason
from podrole.diagnosis.pods.drift import find_drift
from podrole.diagnosis.pods.findings import ExpectedState
from podrole.diagnosis.pods.injection import build_recreate_command, is_injected, read_mode, read_role
from podrole.diagnosis.state.installed_config import EffectiveConfig
from podrole.findings import Finding

SERIOUS_WARNINGS = {
    Reason.CREDENTIALS_OVERRIDDEN,
    Reason.SHARED_CONFIG_SET,
    Reason.SHARED_CONFIG_MOUNTED,
    Reason.KEY_WITHOUT_EFFECT,
    Reason.UNKNOWN_ANNOTATION,
    Reason.NO_PROXY_NOT_EXTENDED,
    Reason.NO_PROXY_NOT_REPLACED,
    Reason.RESERVED_NAME,
    Reason.RESERVED_MOUNT,
    Reason.SANDBOX,
}
"""Warnings that can explain why a pod does not work. The others describe the consequences of a mode or override."""


class RunningPod(NamedTuple):
    """A running pod, its cluster context now, and the webhook's configuration."""

    pod: Object
    cluster_context: ClusterContext
    effective_config: EffectiveConfig


def compare_with_expected_state(running: RunningPod) -> Iterator[Finding]:
    """Decide on the original pod as the webhook would now, and compare."""
    if running.effective_config.is_template_shipped:
        yield ExpectedState.TEMPLATE_NOT_READ.format(path=running.effective_config.config.template)
    original = build_uninject_patch(running.pod).apply(running.pod)
    decision = decide(original, running.cluster_context, running.effective_config.config)
    yield from report_decision(decision, original, running.effective_config)
    if isinstance(decision, Skip) and decision.reason is Reason.NAMESPACE_NOT_LABELLED:
        decision = _decide_with_label(original, running)
        yield from _report_with_label(decision, original, running.effective_config)
        if is_injected(running.pod):
            yield ExpectedState.INJECTED_WITHOUT_LABEL.format()
    yield from _compare(decision, running)


def report_template(
    template: Object, cluster_context: ClusterContext, effective_config: EffectiveConfig
) -> Iterator[Finding]:
    """Report what the webhook would do with a new pod of a template, and in an unlabelled namespace with the label."""
    running = RunningPod(template, cluster_context, effective_config)
    decision = decide(template, cluster_context, effective_config.config)
    yield from report_decision(decision, template, effective_config)
    if isinstance(decision, Skip) and decision.reason is Reason.NAMESPACE_NOT_LABELLED:
        yield from _report_with_label(_decide_with_label(template, running), template, effective_config)


def _report_with_label(decision: Decision, pod: Object, effective_config: EffectiveConfig) -> Iterator[Finding]:
    for finding in report_decision(decision, pod, effective_config):
        yield ExpectedState.WITH_LABEL.format(text=f"{finding.text[0].lower()}{finding.text[1:]}")


def report_decision(decision: Decision, pod: Object, effective_config: EffectiveConfig) -> Iterator[Finding]:
    """Report a decision and the warnings that come with it."""
    match decision:
        case Deny():
            for explanation in decision.explanations:
                yield ExpectedState.WOULD_DENY.format(code=explanation.reason.code, reason=explanation.text)
            yield from _report_warnings(decision.warnings, None)
        case Skip():
            yield ExpectedState.WOULD_SKIP.format(reason=_read_reason(decision))
            yield from _report_warnings(decision.warnings, decision.reason)
        case Block():
            yield ExpectedState.WOULD_BLOCK.format(reason=_read_reason(decision))
            yield from _report_warnings(
                plan_injection(decision, pod, effective_config.template, effective_config.config).warnings,
                decision.reason,
            )
        case Inject():
            reason = decision.reason.explain().text
            yield ExpectedState.WOULD_INJECT.format(role=decision.role_arn, mode=decision.mode, reason=reason)
            yield from _report_warnings(
                plan_injection(decision, pod, effective_config.template, effective_config.config).warnings, None
            )
            yield from _report_node_access(decision, pod, effective_config.config)


def _report_node_access(decision: Inject, pod: Object, config: Config) -> Iterator[Finding]:
    """Name the containers of a pod that only PODROLE_NODE_ACCESS_REQUIRES_USERS=false allows."""
    reaches_node = decision.mode == Mode.REDIRECT and decision.settings.reaches_node(config)
    if config.node_access_requires_users or not reaches_node:
        return
    for container in read_app_containers(pod):
        if missing := [*find_missing_limits(container, pod)]:
            yield ExpectedState.NODE_ACCESS_ALLOWED.format(container=read_name(container), problem=", ".join(missing))


def _decide_with_label(original: Object, running: RunningPod) -> Decision:
    namespace = running.cluster_context.namespace or EMPTY_METADATA
    labelled = namespace._replace(labels={**namespace.labels, INJECTION_LABEL: INJECTION_ENABLED})
    return decide(original, running.cluster_context._replace(namespace=labelled), running.effective_config.config)


def _read_reason(decision: Skip | Block) -> str:
    """Return the reason's sentence; where it has placeholders, that of the warning with the same reason."""
    filled = [warning.text for warning in decision.warnings if warning.reason is decision.reason]
    return next(iter(filled), None) or decision.reason.explain().text


def _report_warnings(warnings: tuple[Explanation, ...], reported: Reason | None) -> Iterator[Finding]:
    for warning in warnings:
        if warning.reason is not reported:
            is_serious = warning.reason in SERIOUS_WARNINGS
            template = ExpectedState.INJECTION_WARNING if is_serious else ExpectedState.INJECTION_NOTE
            yield template.format(text=warning.text)


def _compare(decision: Decision, running: RunningPod) -> Iterator[Finding]:
    if not is_injected(running.pod):
        return
    recreate = build_recreate_command(running.pod)
    if not isinstance(decision, Inject | Block):
        yield ExpectedState.NO_LONGER_INJECTED.format(recreate=recreate)
        return
    role = decision.role_arn if isinstance(decision, Inject) else None
    differences = [*_compare_role(running.pod, role, _read_expected_mode(decision), recreate)]
    differences += [
        ExpectedState.DRIFTED.format(clause=clause, recreate=recreate) for clause in _find_drift(decision, running)
    ]
    yield from differences or [ExpectedState.UP_TO_DATE.format()]


def list_drift(running: RunningPod) -> list[str]:
    """The differences between a pod and what podrole would make of it now; none where it would not be injected."""
    original = build_uninject_patch(running.pod).apply(running.pod)
    decision = decide(original, running.cluster_context, running.effective_config.config)
    if isinstance(decision, Skip) and decision.reason is Reason.NAMESPACE_NOT_LABELLED:
        decision = _decide_with_label(original, running)
    return [*_find_drift(decision, running)] if isinstance(decision, Inject | Block) else []


def _read_expected_mode(decision: Inject | Block) -> str:
    return decision.mode if isinstance(decision, Inject) else Mode.BLOCK


def _find_drift(decision: Inject | Block, running: RunningPod) -> Iterator[str]:
    if _read_expected_mode(decision) == read_mode(running.pod):
        config = running.effective_config
        yield from find_drift(running.pod, plan_injection(decision, running.pod, config.template, config.config))


def _compare_role(pod: Object, role: str | None, mode: str, recreate: str) -> Iterator[Finding]:
    has_role, has_mode = read_role(pod), read_mode(pod)
    if has_role != role:
        has, gets = (f"the role {one}" if one else "no role" for one in (has_role, role))
        yield ExpectedState.ROLE_CHANGED.format(has=has, gets=gets, recreate=recreate)
    elif has_mode != mode:
        yield ExpectedState.MODE_CHANGED.format(has=has_mode, gets=mode, recreate=recreate)
