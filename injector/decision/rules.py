"""The rules, each one function in one of the tables at the end: what exempts a pod, speaks against it, earns a warning.

Pure: what a rule may look at is a Question. A row of the outcome table is lost with each rule that is taken away.
"""

from collections.abc import Callable, Iterator

import contract
from contract.modes import CredentialSource, Mode
from injector.decision.allowed_roles import ALLOWED_ROLES, PERMITTED, check_role_allowed
from injector.decision.annotations import MIRROR_ANNOTATION
from injector.decision.context import AdmissionContext
from injector.decision.outcomes import Skip
from injector.k8s.objects import (
    CONTAINER_FIELDS,
    Object,
    is_reserved,
    read_app_containers,
    read_list,
    read_mapping,
    read_objects,
    read_spec,
)
from injector.k8s.version import format_version
from injector.labels import INJECTION_ENABLED, INJECTION_LABEL
from injector.reasons import Explanation, Reason
from injector.value_types import OverrideName, PodsWithoutRole

UNSUPPORTED = {
    Reason.HOST_NETWORK: Reason.HOST_NETWORK_WITH_ROLE,
    Reason.WINDOWS: Reason.WINDOWS_WITH_ROLE,
}
"""Why a redirect is impossible, and the denial where the pod itself asks for a role all the same."""

IDS = ("runAsUser", "runAsGroup", "fsGroup")
POWERFUL_CAPABILITIES = ("NET_ADMIN", "SYS_ADMIN", "ALL")
"""NET_ADMIN deletes the rules; SYS_ADMIN enters the node's network namespace."""

NATIVE_SIDECARS = (1, 29)
NATIVE_SIDECARS_ON_ALL_KUBELETS = (1, 32)
"""https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/, and three versions of skew."""


def skip_mirror_pod(context: AdmissionContext) -> Skip | None:
    """A mirror pod only shows a static pod that a node already runs."""
    return Skip(Reason.MIRROR_POD) if MIRROR_ANNOTATION in context.metadata.annotations else None


def skip_unlabelled_namespace(context: AdmissionContext) -> Skip | None:
    """The webhook's selector keeps these away already; a configuration without it must not inject everywhere."""
    is_labelled = context.namespace.labels.get(INJECTION_LABEL) == INJECTION_ENABLED
    return Skip(Reason.NAMESPACE_NOT_LABELLED) if context.has_namespace and not is_labelled else None


def skip_opted_out_pod(context: AdmissionContext) -> Skip | None:
    """An override that the operator allows."""
    if OverrideName.INJECT not in context.settings.overrides:
        return None
    return Skip(Reason.OPTED_OUT, (Reason.OPTED_OUT.explain(), *context.warnings))


def skip_unsupported_pod(context: AdmissionContext) -> Skip | None:
    """A role that only the namespace or account gives must not keep node agents out of a labelled namespace."""
    reason = find_unsupported(context.pod)
    if reason is None or context.has_pod_role_annotation:
        return None
    return Skip(reason, (reason.explain(), *context.warnings))


def skip_pods_without_role(context: AdmissionContext) -> Skip | None:
    """Pods without a role are left alone while a cluster moves over."""
    is_left_alone = context.config.pods_without_role == PodsWithoutRole.IGNORE
    return Skip(Reason.PODS_WITHOUT_ROLE_IGNORED, context.warnings) if is_left_alone else None


def skip_where_redirect_is_forbidden(context: AdmissionContext) -> Skip | None:
    """Without a redirect nothing can be blocked."""
    if context.mode == Mode.REDIRECT:
        return None
    unprotected = Reason.NO_ROLE_UNPROTECTED.explain(why=context.mode_reason)
    return Skip(Reason.NO_ROLE_UNPROTECTED, (unprotected, *context.warnings))


def deny_missing_namespace(context: AdmissionContext) -> Iterator[Explanation]:
    """Nobody knows which roles its pods may have."""
    if not context.has_namespace:
        name = str(read_mapping(context.pod, "metadata").get("namespace") or "")
        yield Reason.NAMESPACE_NOT_FOUND.explain(namespace=name)


def deny_unsupported_pod_with_role(context: AdmissionContext) -> Iterator[Explanation]:
    """The pod asks for what it cannot get: to start it all the same would give it the node's role instead."""
    reason = find_unsupported(context.pod)
    if reason and context.has_pod_role_annotation:
        yield UNSUPPORTED[reason].explain()


def deny_invalid_annotations(context: AdmissionContext) -> Iterator[Explanation]:
    """Values that mean nothing, and overrides that the operator does not allow."""
    yield from context.errors


def deny_disallowed_role(context: AdmissionContext) -> Iterator[Explanation]:
    """The namespace's allow-lists, of either peer."""
    if context.settings.role_arn is not None:
        yield from check_role_allowed(context.settings.role_arn, context.namespace.annotations, context.config)


def deny_missing_allow_list(context: AdmissionContext) -> Iterator[Explanation]:
    """The node's role may assume the roles of all pods of its node: somebody must say which of them a namespace has."""
    is_of_node = context.config.credential_source == CredentialSource.NODE and context.settings.role_arn is not None
    if is_of_node and not context.namespace.annotations.keys() & {ALLOWED_ROLES, PERMITTED}:
        yield Reason.ALLOW_LIST_REQUIRED.explain()


def deny_sidecar_user(context: AdmissionContext) -> Iterator[Explanation]:
    """Who has the sidecar's uid or gid can read its memory and its files."""
    spec = read_spec(context.pod)
    owners = [("spec", spec)]
    for field in CONTAINER_FIELDS:
        containers = read_objects(spec, field)
        owners += [(f"spec.{field}[{c.get('name')}]", c) for c in containers if not is_reserved(c)]
    for where, owner in owners:
        security = read_mapping(owner, "securityContext")
        value = str(contract.SIDECAR_UID)
        for key in IDS:
            if security.get(key) == contract.SIDECAR_UID:
                yield Reason.RESERVED_USER.explain(where=f"{where}.securityContext.{key}", value=value)
        if contract.SIDECAR_UID in read_list(security, "supplementalGroups"):
            groups = f"One of {where}.securityContext.supplementalGroups"
            yield Reason.RESERVED_USER.explain(where=groups, value=value)


def deny_old_kubernetes(context: AdmissionContext) -> Iterator[Explanation]:
    """An API server that does not know native sidecars drops the field, and the pod's start never ends.

    A kubelet may be three minor versions older than its API server: https://kubernetes.io/releases/version-skew-policy/
    """
    if context.version is None or context.settings.role_arn is None:
        return
    version = format_version(context.version)
    if context.version < NATIVE_SIDECARS:
        yield Reason.KUBERNETES_TOO_OLD.explain(version=version)
    elif context.version < NATIVE_SIDECARS_ON_ALL_KUBELETS and not context.config.native_sidecars_confirmed:
        yield Reason.NATIVE_SIDECARS_UNCONFIRMED.explain(version=version)


def warn_unknown_annotations(context: AdmissionContext) -> Iterator[Explanation]:
    """A typing error is the most common reason for a setting without effect."""
    yield from context.warnings


def warn_privileged_containers(context: AdmissionContext) -> Iterator[Explanation]:
    """Containers that can undo the redirect."""
    for container in read_app_containers(context.pod):
        security = read_mapping(container, "securityContext")
        added = read_list(read_mapping(security, "capabilities"), "add")
        powers = ["is privileged"] if security.get("privileged") else []
        powers += [
            f"adds {capability}"
            for capability in POWERFUL_CAPABILITIES
            if capability in added or f"CAP_{capability}" in added
        ]
        if powers and context.mode == Mode.REDIRECT:
            name = str(container.get("name"))
            yield Reason.PRIVILEGED_CONTAINER.explain(container=name, power=" and ".join(powers))


def warn_env_mode(context: AdmissionContext) -> Iterator[Explanation]:
    """What env mode does not protect from."""
    if context.mode == Mode.ENV:
        yield Reason.ENV_MODE.explain(why=context.mode_reason)


def warn_node_source(context: AdmissionContext) -> Iterator[Explanation]:
    """What the operator chose for every pod, and what each of them can do with it."""
    if context.config.credential_source == CredentialSource.NODE:
        yield Reason.NODE_CREDENTIAL_SOURCE.explain()


def warn_metadata_passthrough(context: AdmissionContext) -> Iterator[Explanation]:
    """The same gap in the wall, where the rules have to leave one."""
    if context.settings.passes_metadata and context.mode == Mode.REDIRECT:
        yield Reason.METADATA_PASSTHROUGH.explain()


def find_unsupported(pod: Object) -> Reason | None:
    """Why no rules can be put around this pod: it has no network of its own, or no Linux."""
    spec = read_spec(pod)
    if spec.get("hostNetwork"):
        return Reason.HOST_NETWORK
    selected = read_mapping(spec, "nodeSelector").get("kubernetes.io/os")
    return Reason.WINDOWS if "windows" in (read_mapping(spec, "os").get("name"), selected) else None


SKIP_RULES: tuple[Callable[[AdmissionContext], Skip | None], ...] = (
    skip_mirror_pod,
    skip_unlabelled_namespace,
    skip_opted_out_pod,
    skip_unsupported_pod,
)
"""The first one that applies leaves the pod as it came."""

DENY_RULES: tuple[Callable[[AdmissionContext], Iterator[Explanation]], ...] = (
    deny_missing_namespace,
    deny_unsupported_pod_with_role,
    deny_invalid_annotations,
    deny_disallowed_role,
    deny_missing_allow_list,
    deny_sidecar_user,
    deny_old_kubernetes,
)
"""All that apply are told in one denial."""

SKIP_RULES_WITHOUT_ROLE: tuple[Callable[[AdmissionContext], Skip | None], ...] = (
    skip_pods_without_role,
    skip_where_redirect_is_forbidden,
)
"""The first one that applies leaves a pod without a role as it came; otherwise it is blocked."""

WARN_RULES: tuple[Callable[[AdmissionContext], Iterator[Explanation]], ...] = (
    warn_unknown_annotations,
    warn_privileged_containers,
    warn_env_mode,
    warn_node_source,
    warn_metadata_passthrough,
)
"""All that apply are told beside an injection."""
