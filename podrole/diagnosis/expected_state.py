"""What the webhook would make of a running pod if it were asked now, and how that differs from what the pod has."""

from collections.abc import Iterator
from typing import NamedTuple

from injector.decision.context import Surroundings
from injector.decision.decide import decide
from injector.decision.outcomes import Block, Decision, Deny, Inject, Skip
from injector.k8s.objects import Metadata, Object
from injector.labels import INJECTION_ENABLED, INJECTION_LABEL
from injector.patch.plan import build_pieces
from injector.patch.uninject import build_removal
from injector.reasons import Explanation, Reason
from podrole.diagnosis.drift import find_drift
from podrole.diagnosis.injection import build_recreation, is_injected, read_mode, read_role
from podrole.diagnosis.installed_config import Setup
from podrole.diagnosis.pod_findings import Outlook
from podrole.findings import Finding

TROUBLE = {Reason.SHADOWED, Reason.UNKNOWN_KEY, Reason.NO_PROXY_UNKNOWN, Reason.RESERVED_NAME}
"""Warnings of the core that may be why a pod does not work; the others say what a mode or power means."""


class Case(NamedTuple):
    """A running pod, what surrounds it now, and how the webhook is configured."""

    pod: Object
    surroundings: Surroundings
    setup: Setup


def find_outlook(case: Case) -> Iterator[Finding]:
    """Decide on the pod as on a new one, and compare."""
    if case.setup.is_template_shipped:
        yield Outlook.TEMPLATE_UNREAD.say(path=case.setup.config.template)
    original = build_removal(case.pod, case.setup.config).apply(case.pod)
    decision = decide(original, case.surroundings, case.setup.config)
    yield from tell_decision(decision, original, case.setup)
    if isinstance(decision, Skip) and decision.reason is Reason.NOT_LABELLED:
        decision = _decide_with_label(original, case)
        for finding in tell_decision(decision, original, case.setup):
            yield Outlook.WITH_LABEL.say(text=f"{finding.text[0].lower()}{finding.text[1:]}")
        if is_injected(case.pod):
            yield Outlook.BY_HAND.say()
    yield from _compare(decision, case)


def tell_decision(decision: Decision, pod: Object, setup: Setup) -> Iterator[Finding]:
    """Say a decision, with the warnings that would come with it."""
    match decision:
        case Deny():
            for explanation in decision.explanations:
                yield Outlook.DENIES.say(code=explanation.reason.code, reason=explanation.text)
        case Skip():
            yield Outlook.LEAVES.say(reason=_find_sentence(decision))
            yield from _tell_warnings(decision.warnings, decision.reason)
        case Block():
            yield Outlook.BLOCKS.say(reason=_find_sentence(decision))
            yield from _tell_warnings(
                build_pieces(decision, pod, setup.template, setup.config).warnings, decision.reason
            )
        case Inject():
            reason = decision.reason.explain().text
            yield Outlook.GIVES_ROLE.say(role=decision.role_arn, mode=decision.mode, reason=reason)
            yield from _tell_warnings(build_pieces(decision, pod, setup.template, setup.config).warnings, None)


def _decide_with_label(original: Object, case: Case) -> Decision:
    namespace = case.surroundings.namespace or Metadata({}, {})
    labelled = namespace._replace(labels={**namespace.labels, INJECTION_LABEL: INJECTION_ENABLED})
    return decide(original, case.surroundings._replace(namespace=labelled), case.setup.config)


def _find_sentence(decision: Skip | Block) -> str:
    """A reason that needs values was filled in for its warning."""
    filled = [warning.text for warning in decision.warnings if warning.reason is decision.reason]
    return next(iter(filled), None) or decision.reason.explain().text


def _tell_warnings(warnings: tuple[Explanation, ...], told: Reason | None) -> Iterator[Finding]:
    for warning in warnings:
        if warning.reason is not told:
            statement = Outlook.WARNS_OF_TROUBLE if warning.reason in TROUBLE else Outlook.WARNS
            yield statement.say(text=warning.text)


def _compare(decision: Decision, case: Case) -> Iterator[Finding]:
    if not is_injected(case.pod):
        return
    recreate = build_recreation(case.pod)
    if not isinstance(decision, Inject | Block):
        yield Outlook.INJECTED_ALL_THE_SAME.say(recreate=recreate)
        return
    role = decision.role_arn if isinstance(decision, Inject) else None
    mode = decision.mode if isinstance(decision, Inject) else "block"
    differences = [*_compare_role(case.pod, role, mode, recreate)]
    if mode == read_mode(case.pod):
        pieces = build_pieces(decision, case.pod, case.setup.template, case.setup.config)
        differences += [
            Outlook.DRIFTED.say(clause=clause, recreate=recreate) for clause in find_drift(case.pod, pieces)
        ]
    yield from differences or [Outlook.SAME.say()]


def _compare_role(pod: Object, role: str | None, mode: str, recreate: str) -> Iterator[Finding]:
    has_role, has_mode = read_role(pod), read_mode(pod)
    if has_role != role:
        has, gets = (f"the role {one}" if one else "no role" for one in (has_role, role))
        yield Outlook.ROLE_CHANGED.say(has=has, gets=gets, recreate=recreate)
    elif has_mode != mode:
        yield Outlook.MODE_CHANGED.say(has=has_mode, gets=mode, recreate=recreate)
