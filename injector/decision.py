"""Decides on a pod that is being created. Pure: everything that it needs to know is an argument."""

from typing import NamedTuple

from injector import rules
from injector.annotations import parse_wishes
from injector.config import Config
from injector.objects import Metadata, Object, parse_metadata
from injector.outcomes import Block, Decision, Deny, Inject
from injector.reasons import Reason
from injector.rules import Question, Version


class Surroundings(NamedTuple):
    """What of the cluster a decision needs. None: there is no such object, or nobody knows."""

    namespace: Metadata | None
    service_account: Metadata | None
    version: Version | None = None


def decide(pod: Object, surroundings: Surroundings, config: Config) -> Decision:
    """Decide on a pod that is being created: exempt it, object to it, block it, or give it its role."""
    question = _ask(pod, surroundings, config)
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


def _ask(pod: Object, surroundings: Surroundings, config: Config) -> Question:
    metadata = parse_metadata(pod)
    namespace = surroundings.namespace or Metadata({}, {})
    wishes = parse_wishes(metadata, namespace, surroundings.service_account, config)
    mode, mode_reason = rules.choose_mode(namespace, wishes, config)
    return Question(
        pod=pod,
        metadata=metadata,
        has_namespace=surroundings.namespace is not None,
        namespace=namespace,
        wishes=wishes,
        mode=mode,
        mode_reason=mode_reason,
        version=surroundings.version,
        config=config,
    )


def _decide_without_role(question: Question) -> Decision:
    for exempt in rules.EXEMPTIONS_WITHOUT_ROLE:
        if exemption := exempt(question):
            return exemption
    return Block(Reason.NO_ROLE, (Reason.NO_ROLE.explain(), *question.wishes.warnings, *rules.find_powers(question)))
