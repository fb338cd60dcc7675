"""The rules, each one function in one of the tables at the end: what exempts a pod, speaks against it, earns a warning.

Pure: what a rule may look at is a Question. A row of the outcome table is lost with each rule that is taken away.
"""

from collections.abc import Callable, Iterator

import contract
from injector.decision.allowed_roles import ALLOWED_ROLES, PERMITTED, find_refusals
from injector.decision.annotations import MIRROR_ANNOTATION
from injector.decision.context import Question
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
from injector.labels import INJECTION_ENABLED, INJECTION_LABEL
from injector.reasons import Explanation, Reason

UNREACHABLE = {
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


def exempt_mirror_pod(question: Question) -> Skip | None:
    """A mirror pod only shows a static pod that a node already runs."""
    return Skip(Reason.MIRROR_POD) if MIRROR_ANNOTATION in question.metadata.annotations else None


def exempt_unlabelled_namespace(question: Question) -> Skip | None:
    """The webhook's selector keeps these away already; a configuration without it must not inject everywhere."""
    is_labelled = question.namespace.labels.get(INJECTION_LABEL) == INJECTION_ENABLED
    return Skip(Reason.NOT_LABELLED) if question.has_namespace and not is_labelled else None


def exempt_opted_out(question: Question) -> Skip | None:
    """An override that the operator allows."""
    if "inject" not in question.wishes.overrides:
        return None
    return Skip(Reason.OPTED_OUT, (Reason.OPTED_OUT.explain(), *question.wishes.warnings))


def exempt_unreachable(question: Question) -> Skip | None:
    """A role that only the namespace or account gives must not keep node agents out of a labelled namespace."""
    reason = find_unreachable(question.pod)
    if reason is None or question.asks_by_itself:
        return None
    return Skip(reason, (reason.explain(), *question.wishes.warnings))


def exempt_as_operator_says(question: Question) -> Skip | None:
    """Pods without a role are left alone while a cluster moves over."""
    is_left_alone = question.config.no_role == "untouched"
    return Skip(Reason.NO_ROLE_UNTOUCHED, question.wishes.warnings) if is_left_alone else None


def exempt_where_no_redirect_may_be(question: Question) -> Skip | None:
    """Without a redirect nothing can be blocked."""
    if question.mode == contract.MODE_REDIRECT:
        return None
    unprotected = Reason.NO_ROLE_UNPROTECTED.explain(why=question.mode_reason)
    return Skip(Reason.NO_ROLE_UNPROTECTED, (unprotected, *question.wishes.warnings))


def object_to_missing_namespace(question: Question) -> Iterator[Explanation]:
    """Nobody knows which roles its pods may have."""
    if not question.has_namespace:
        name = str(read_mapping(question.pod, "metadata").get("namespace") or "")
        yield Reason.NAMESPACE_MISSING.explain(namespace=name)


def object_to_unreachable(question: Question) -> Iterator[Explanation]:
    """The pod asks for what it cannot get: to start it all the same would give it the node's role instead."""
    reason = find_unreachable(question.pod)
    if reason and question.asks_by_itself:
        yield UNREACHABLE[reason].explain()


def object_to_wishes(question: Question) -> Iterator[Explanation]:
    """Values that mean nothing, and overrides that the operator does not allow."""
    yield from question.wishes.errors


def object_to_role(question: Question) -> Iterator[Explanation]:
    """The namespace's allow-lists, of either peer."""
    if question.wishes.role_arn is not None:
        yield from find_refusals(question.wishes.role_arn, question.namespace.annotations, question.config)


def object_to_missing_allow_list(question: Question) -> Iterator[Explanation]:
    """The node's role may assume the roles of all pods of its node: somebody must say which of them a namespace has."""
    is_of_node = question.config.source == contract.SOURCE_NODE and question.wishes.role_arn is not None
    if is_of_node and not question.namespace.annotations.keys() & {ALLOWED_ROLES, PERMITTED}:
        yield Reason.ALLOW_LIST_MISSING.explain()


def object_to_sidecar_user(question: Question) -> Iterator[Explanation]:
    """Who has the sidecar's uid or gid can read its memory and its files."""
    spec = read_spec(question.pod)
    owners = [("spec", spec)]
    for field in CONTAINER_FIELDS:
        containers = read_objects(spec, field)
        owners += [(f"spec.{field}[{c.get('name')}]", c) for c in containers if not is_reserved(c)]
    for where, owner in owners:
        context = read_mapping(owner, "securityContext")
        value = str(contract.SIDECAR_UID)
        for key in IDS:
            if context.get(key) == contract.SIDECAR_UID:
                yield Reason.SIDECAR_USER.explain(where=f"{where}.securityContext.{key}", value=value)
        if contract.SIDECAR_UID in read_list(context, "supplementalGroups"):
            groups = f"One of {where}.securityContext.supplementalGroups"
            yield Reason.SIDECAR_USER.explain(where=groups, value=value)


def object_to_old_kubernetes(question: Question) -> Iterator[Explanation]:
    """An API server that does not know native sidecars drops the field, and the pod's start never ends.

    A kubelet may be three minor versions older than its API server: https://kubernetes.io/releases/version-skew-policy/
    """
    if question.version is None or question.wishes.role_arn is None:
        return
    version = "{}.{}".format(*question.version)
    if question.version < NATIVE_SIDECARS:
        yield Reason.KUBERNETES_TOO_OLD.explain(version=version)
    elif question.version < NATIVE_SIDECARS_ON_ALL_KUBELETS and not question.config.kubelets_confirmed:
        yield Reason.KUBELETS_UNCONFIRMED.explain(version=version)


def find_unknown_keys(question: Question) -> Iterator[Explanation]:
    """A typing error is the most common reason for a setting without effect."""
    yield from question.wishes.warnings


def find_powers(question: Question) -> Iterator[Explanation]:
    """Containers that can undo the redirect."""
    for container in read_app_containers(question.pod):
        context = read_mapping(container, "securityContext")
        added = read_list(read_mapping(context, "capabilities"), "add")
        powers = ["is privileged"] if context.get("privileged") else []
        powers += [
            f"adds {capability}"
            for capability in POWERFUL_CAPABILITIES
            if capability in added or f"CAP_{capability}" in added
        ]
        if powers and question.mode == contract.MODE_REDIRECT:
            name = str(container.get("name"))
            yield Reason.POWERFUL_CONTAINER.explain(container=name, power=" and ".join(powers))


def find_open_wall(question: Question) -> Iterator[Explanation]:
    """What env mode does not protect from."""
    if question.mode == contract.MODE_ENV:
        yield Reason.ENV_MODE.explain(why=question.mode_reason)


def find_node_source(question: Question) -> Iterator[Explanation]:
    """What the operator chose for every pod, and what each of them can do with it."""
    if question.config.source == contract.SOURCE_NODE:
        yield Reason.NODE_SOURCE.explain()


def find_passthrough(question: Question) -> Iterator[Explanation]:
    """The same gap in the wall, where the rules have to leave one."""
    if question.wishes.passes_metadata and question.mode == contract.MODE_REDIRECT:
        yield Reason.METADATA_PASSTHROUGH.explain()


def find_unreachable(pod: Object) -> Reason | None:
    """Why no rules can be put around this pod: it has no network of its own, or no Linux."""
    spec = read_spec(pod)
    if spec.get("hostNetwork"):
        return Reason.HOST_NETWORK
    selected = read_mapping(spec, "nodeSelector").get("kubernetes.io/os")
    return Reason.WINDOWS if "windows" in (read_mapping(spec, "os").get("name"), selected) else None


EXEMPTIONS: tuple[Callable[[Question], Skip | None], ...] = (
    exempt_mirror_pod,
    exempt_unlabelled_namespace,
    exempt_opted_out,
    exempt_unreachable,
)
"""The first one that applies leaves the pod as it came."""

OBJECTIONS: tuple[Callable[[Question], Iterator[Explanation]], ...] = (
    object_to_missing_namespace,
    object_to_unreachable,
    object_to_wishes,
    object_to_role,
    object_to_missing_allow_list,
    object_to_sidecar_user,
    object_to_old_kubernetes,
)
"""All that apply are told in one denial."""

EXEMPTIONS_WITHOUT_ROLE: tuple[Callable[[Question], Skip | None], ...] = (
    exempt_as_operator_says,
    exempt_where_no_redirect_may_be,
)
"""The first one that applies leaves a pod without a role as it came; otherwise it is blocked."""

WARNINGS: tuple[Callable[[Question], Iterator[Explanation]], ...] = (
    find_unknown_keys,
    find_powers,
    find_open_wall,
    find_node_source,
    find_passthrough,
)
"""All that apply are told beside an injection."""
