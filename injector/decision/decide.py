"""Decides on a pod that is being created. Pure: everything that it needs to know is an argument."""

from injector.config import Config
from injector.decision import rules
from injector.decision.context import Question, Surroundings, build_question
from injector.decision.outcomes import Block, Decision, Deny, Inject
from injector.k8s.objects import Object
from injector.reasons import Reason


def decide(pod: Object, surroundings: Surroundings, config: Config) -> Decision:
    """Decide on a pod that is being created: exempt it, object to it, block it, or give it its role."""
    question = build_question(pod, surroundings, config)
    for exempt in rules.EXEMPTIONS:
        if exemption := exempt(question):
            return exemption
    if objections := tuple(objection for find in rules.OBJECTIONS for objection in find(question)):
        return Deny(objections)
    wishes = question.wishes
    if wishes.role_arn is None:
        return _decide_without_role(question)
    return Inject(
        role_arn=wishes.role_arn,
        mode=question.mode,
        session_name=wishes.session_name,
        session_duration=wishes.session_duration,
        imds_v1=wishes.imds_v1,
        assume_through=wishes.assume_through,
        external_id=wishes.external_id,
        session_tags=wishes.session_tags,
        passes_metadata=wishes.passes_metadata,
        reason=wishes.role_reason,
        warnings=tuple(warning for find in rules.WARNINGS for warning in find(question)),
    )


def _decide_without_role(question: Question) -> Decision:
    for exempt in rules.EXEMPTIONS_WITHOUT_ROLE:
        if exemption := exempt(question):
            return exemption
    return Block(Reason.NO_ROLE, (Reason.NO_ROLE.explain(), *question.wishes.warnings, *rules.find_powers(question)))
