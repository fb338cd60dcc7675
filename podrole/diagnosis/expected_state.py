"""What the webhook would make of a running pod if it were asked now, and how that differs from what the pod has."""

from collections.abc import Iterator
from typing import NamedTuple

from injector.decision.context import ClusterContext
from injector.decision.decide import decide
from injector.decision.outcomes import Block, Decision, Deny, Inject, Skip
from injector.k8s.objects import Metadata, Object
from injector.labels import INJECTION_ENABLED, INJECTION_LABEL
from injector.patch.plan import plan_injection
from injector.patch.uninject import build_uninject_patch
from injector.reasons import Explanation, Reason
from podrole.diagnosis.drift import find_drift
from podrole.diagnosis.injection import build_recreation, is_injected, read_mode, read_role
from podrole.diagnosis.installed_config import EffectiveConfig
from podrole.diagnosis.pod_findings import ExpectedState
from podrole.findings import Finding

TROUBLE = {Reason.CREDENTIALS_OVERRIDDEN, Reason.UNKNOWN_ANNOTATION, Reason.NO_PROXY_NOT_EXTENDED, Reason.RESERVED_NAME}
"""Warnings of the core that may be why a pod does not work; the others say what a mode or power means."""


class RunningPod(NamedTuple):
    """A running pod, what surrounds it now, and how the webhook is configured."""

    pod: Object
    cluster_context: ClusterContext
    effective_config: EffectiveConfig


def compare_with_expected_state(case: RunningPod) -> Iterator[Finding]:
    """Decide on the pod as on a new one, and compare."""
    if case.effective_config.is_template_shipped:
        yield ExpectedState.TEMPLATE_UNREAD.format(path=case.effective_config.config.template)
    original = build_uninject_patch(case.pod).apply(case.pod)
    decision = decide(original, case.cluster_context, case.effective_config.config)
    yield from tell_decision(decision, original, case.effective_config)
    if isinstance(decision, Skip) and decision.reason is Reason.NAMESPACE_NOT_LABELLED:
        decision = _decide_with_label(original, case)
        for finding in tell_decision(decision, original, case.effective_config):
            yield ExpectedState.WITH_LABEL.format(text=f"{finding.text[0].lower()}{finding.text[1:]}")
        if is_injected(case.pod):
            yield ExpectedState.BY_HAND.format()
    yield from _compare(decision, case)


def tell_decision(decision: Decision, pod: Object, effective_config: EffectiveConfig) -> Iterator[Finding]:
    """Say a decision, with the warnings that would come with it."""
    match decision:
        case Deny():
            for explanation in decision.explanations:
                yield ExpectedState.DENIES.format(code=explanation.reason.code, reason=explanation.text)
        case Skip():
            yield ExpectedState.LEAVES.format(reason=_find_sentence(decision))
            yield from _tell_warnings(decision.warnings, decision.reason)
        case Block():
            yield ExpectedState.BLOCKS.format(reason=_find_sentence(decision))
            yield from _tell_warnings(
                plan_injection(decision, pod, effective_config.template, effective_config.config).warnings,
                decision.reason,
            )
        case Inject():
            reason = decision.reason.explain().text
            yield ExpectedState.GIVES_ROLE.format(role=decision.role_arn, mode=decision.mode, reason=reason)
            yield from _tell_warnings(
                plan_injection(decision, pod, effective_config.template, effective_config.config).warnings, None
            )


def _decide_with_label(original: Object, case: RunningPod) -> Decision:
    namespace = case.cluster_context.namespace or Metadata({}, {})
    labelled = namespace._replace(labels={**namespace.labels, INJECTION_LABEL: INJECTION_ENABLED})
    return decide(original, case.cluster_context._replace(namespace=labelled), case.effective_config.config)


def _find_sentence(decision: Skip | Block) -> str:
    """A reason that needs values was filled in for its warning."""
    filled = [warning.text for warning in decision.warnings if warning.reason is decision.reason]
    return next(iter(filled), None) or decision.reason.explain().text


def _tell_warnings(warnings: tuple[Explanation, ...], told: Reason | None) -> Iterator[Finding]:
    for warning in warnings:
        if warning.reason is not told:
            statement = ExpectedState.WARNS_OF_TROUBLE if warning.reason in TROUBLE else ExpectedState.WARNS
            yield statement.format(text=warning.text)


def _compare(decision: Decision, case: RunningPod) -> Iterator[Finding]:
    if not is_injected(case.pod):
        return
    recreate = build_recreation(case.pod)
    if not isinstance(decision, Inject | Block):
        yield ExpectedState.INJECTED_ALL_THE_SAME.format(recreate=recreate)
        return
    role = decision.role_arn if isinstance(decision, Inject) else None
    mode = decision.mode if isinstance(decision, Inject) else "block"
    differences = [*_compare_role(case.pod, role, mode, recreate)]
    if mode == read_mode(case.pod):
        plan = plan_injection(decision, case.pod, case.effective_config.template, case.effective_config.config)
        differences += [
            ExpectedState.DRIFTED.format(clause=clause, recreate=recreate) for clause in find_drift(case.pod, plan)
        ]
    yield from differences or [ExpectedState.SAME.format()]


def _compare_role(pod: Object, role: str | None, mode: str, recreate: str) -> Iterator[Finding]:
    has_role, has_mode = read_role(pod), read_mode(pod)
    if has_role != role:
        has, gets = (f"the role {one}" if one else "no role" for one in (has_role, role))
        yield ExpectedState.ROLE_CHANGED.format(has=has, gets=gets, recreate=recreate)
    elif has_mode != mode:
        yield ExpectedState.MODE_CHANGED.format(has=has_mode, gets=mode, recreate=recreate)
