"""Rules that leave a pod unchanged."""

from contract.modes import Mode
from injector.decision.context import AdmissionContext
from injector.decision.outcomes import Skip
from injector.decision.unsupported import find_unsupported
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL, MIRROR_ANNOTATION
from injector.reasons import Reason
from injector.value_types import OverrideName, PodsWithoutRole


def skip_mirror_pod(context: AdmissionContext) -> Skip | None:
    """A mirror pod represents a static pod that already runs on its node."""
    return Skip(Reason.MIRROR_POD) if MIRROR_ANNOTATION in context.metadata.annotations else None


def skip_unlabelled_namespace(context: AdmissionContext) -> Skip | None:
    """Repeat the webhook's namespaceSelector, in case it was removed."""
    is_labelled = context.namespace.labels.get(INJECTION_LABEL) == INJECTION_ENABLED
    return Skip(Reason.NAMESPACE_NOT_LABELLED) if context.has_namespace and not is_labelled else None


def skip_opted_out_pod(context: AdmissionContext) -> Skip | None:
    """The pod uses an override that the operator allows."""
    if OverrideName.INJECT not in context.settings.overrides:
        return None
    return Skip(Reason.OPTED_OUT, (Reason.OPTED_OUT.explain(), *context.warnings))


def skip_unsupported_pod(context: AdmissionContext) -> Skip | None:
    """Skip unsupported pods whose role comes only from the namespace or ServiceAccount, such as node agents."""
    reason = find_unsupported(context.pod)
    if reason is None or context.has_pod_role_annotation:
        return None
    return Skip(reason, (reason.explain(), *context.warnings))


def skip_pods_without_role(context: AdmissionContext) -> Skip | None:
    """The operator can ignore pods without a role, for example during a migration."""
    is_left_alone = context.config.pods_without_role == PodsWithoutRole.IGNORE
    return Skip(Reason.PODS_WITHOUT_ROLE_IGNORED, context.warnings) if is_left_alone else None


def skip_where_redirect_is_forbidden(context: AdmissionContext) -> Skip | None:
    """Without a redirect, the metadata addresses cannot be blocked. On Fargate they do not answer."""
    if context.mode == Mode.REDIRECT:
        return None
    if context.is_on_fargate:
        return Skip(Reason.NO_ROLE_ON_FARGATE, (Reason.NO_ROLE_ON_FARGATE.explain(), *context.warnings))
    unprotected = Reason.NO_ROLE_UNPROTECTED.explain(why=context.mode_reason)
    return Skip(Reason.NO_ROLE_UNPROTECTED, (unprotected, *context.warnings))
