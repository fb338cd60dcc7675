"""Decides on a pod that is being created. Pure: everything that it needs to know is an argument."""

from injector.config import Config
from injector.decision import rules
from injector.decision.context import AdmissionContext, ClusterContext, build_context
from injector.decision.outcomes import Block, Decision, Deny, Inject
from injector.k8s.objects import Object
from injector.reasons import Reason


def decide(pod: Object, cluster_context: ClusterContext, config: Config) -> Decision:
    """Decide on a pod that is being created: exempt it, object to it, block it, or give it its role."""
    context = build_context(pod, cluster_context, config)
    for rule in rules.SKIP_RULES:
        if skip := rule(context):
            return skip
    if denials := tuple(denial for rule in rules.DENY_RULES for denial in rule(context)):
        return Deny(denials)
    settings = context.settings
    if settings.role_arn is None:
        return _decide_without_role(context)
    return Inject(
        role_arn=settings.role_arn,
        mode=context.mode,
        session_name=settings.session_name,
        session_duration=settings.session_duration,
        imds_tokens=settings.imds_tokens,
        intermediate_role=settings.intermediate_role,
        external_id=settings.external_id,
        session_tags=settings.session_tags,
        passes_metadata=settings.passes_metadata,
        reason=settings.role_reason,
        warnings=tuple(warning for rule in rules.WARN_RULES for warning in rule(context)),
    )


def _decide_without_role(context: AdmissionContext) -> Decision:
    for rule in rules.SKIP_RULES_WITHOUT_ROLE:
        if skip := rule(context):
            return skip
    return Block(
        Reason.NO_ROLE,
        (Reason.NO_ROLE.explain(), *context.settings.warnings, *rules.warn_privileged_containers(context)),
    )
