"""Decides about a pod that is being created. Pure: a function of its arguments."""

from injector.config import Config
from injector.decision import rules
from injector.decision.context import AdmissionContext, ClusterContext, build_context
from injector.decision.outcomes import Block, Decision, Deny, Inject
from injector.explanations import limit_explanations
from injector.k8s.objects import Object
from injector.reasons import Reason


def decide(pod: Object, cluster_context: ClusterContext, config: Config) -> Decision:
    """Decide about a pod: skip, deny or block it, or inject its role."""
    context = build_context(pod, cluster_context, config)
    for rule in rules.SKIP_RULES:
        if skip := rule(context):
            return skip
    if denials := limit_explanations(denial for rule in rules.DENY_RULES for denial in rule(context)):
        return Deny(denials, limit_explanations(context.warnings), context.settings.role_arn)
    if context.settings.role_arn is None:
        return _decide_without_role(context)
    warnings = limit_explanations(warning for rule in rules.WARN_RULES for warning in rule(context))
    return Inject(context.settings.role_arn, context.mode, context.settings, warnings)


def _decide_without_role(context: AdmissionContext) -> Decision:
    for rule in rules.SKIP_RULES_WITHOUT_ROLE:
        if skip := rule(context):
            return skip
    found = (warning for rule in rules.WARN_RULES_WITHOUT_ROLE for warning in rule(context))
    warnings = (Reason.NO_ROLE.explain(), *found)
    return Block(Reason.NO_ROLE, limit_explanations(warnings), context.settings.sidecar_resources)
