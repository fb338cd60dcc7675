"""Rules that deny a pod, each with all its explanations."""

from collections.abc import Iterator

import contract
from contract.modes import CredentialSource, Mode
from injector.decision.allowed_roles import check_role_allowed
from injector.decision.context import AdmissionContext
from injector.decision.node_access import find_missing_limits
from injector.decision.unsupported import UNSUPPORTED, find_unsupported
from injector.k8s.objects import (
    CONTAINER_FIELDS,
    is_reserved,
    read_app_containers,
    read_list,
    read_mapping,
    read_name,
    read_objects,
    read_service_account_name,
    read_spec,
)
from injector.k8s.version import format_version
from injector.metadata_keys import ALLOWED_ROLES, PERMITTED
from injector.reasons import Explanation, Reason

IDS = ("runAsUser", "runAsGroup", "fsGroup")
MAX_RESERVED_NAMES = 20
"""Of containers, volumes and mounts together. An injected pod has four."""

NATIVE_SIDECARS = (1, 29)
NATIVE_SIDECARS_ON_ALL_KUBELETS = (1, 32)
"""https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/, plus three minor versions of skew."""


def deny_missing_namespace(context: AdmissionContext) -> Iterator[Explanation]:
    """Without the namespace the allowed roles are unknown."""
    if not context.has_namespace:
        name = read_name(read_mapping(context.pod, "metadata"), "namespace")
        yield Reason.NAMESPACE_NOT_FOUND.explain(namespace=name)


def deny_missing_service_account(context: AdmissionContext) -> Iterator[Explanation]:
    """The API server admits only pods whose account it has found: the read was late or wrong, and the role is unknown.

    https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#serviceaccount
    """
    if context.has_namespace and not context.has_service_account:
        namespace = read_name(read_mapping(context.pod, "metadata"), "namespace")
        account = read_service_account_name(context.pod)
        yield Reason.SERVICE_ACCOUNT_NOT_FOUND.explain(account=account, namespace=namespace)


def deny_unsupported_pod_with_role(context: AdmissionContext) -> Iterator[Explanation]:
    """The pod cannot get its role; if it started, it could get the node's role instead."""
    reason = find_unsupported(context.pod)
    if reason and context.has_pod_role_annotation:
        yield UNSUPPORTED[reason].explain()


def deny_invalid_annotations(context: AdmissionContext) -> Iterator[Explanation]:
    """Invalid values, and overrides that the operator does not allow."""
    yield from context.errors


def deny_disallowed_role(context: AdmissionContext) -> Iterator[Explanation]:
    """The namespace's allow-lists, of kube2iam and Kiam."""
    if context.settings.role_arn is not None:
        yield from check_role_allowed(context.settings.role_arn, context.namespace.annotations, context.config)


def deny_missing_allow_list(context: AdmissionContext) -> Iterator[Explanation]:
    """The node's role can assume the roles of all pods of its node, so each namespace needs an allow-list."""
    is_of_node = context.config.credential_source == CredentialSource.NODE and context.settings.role_arn is not None
    if is_of_node and not context.namespace.annotations.keys() & {ALLOWED_ROLES, PERMITTED}:
        yield Reason.ALLOW_LIST_REQUIRED.explain()


def deny_sidecar_user(context: AdmissionContext) -> Iterator[Explanation]:
    """A process with the sidecar's uid or gid can read its memory and files."""
    spec = read_spec(context.pod)
    owners = [("spec", spec)]
    for field in CONTAINER_FIELDS:
        containers = read_objects(spec, field)
        owners += [(f"spec.{field}[{c.get('name')}]", c) for c in containers if not is_reserved(c)]
    value = str(contract.SIDECAR_UID)
    for where, owner in owners:
        security = read_mapping(owner, "securityContext")
        if not security:
            continue
        for key in IDS:
            if security.get(key) == contract.SIDECAR_UID:
                yield Reason.RESERVED_USER.explain(where=f"{where}.securityContext.{key}", value=value)
        if contract.SIDECAR_UID in read_list(security, "supplementalGroups"):
            groups = f"One of {where}.securityContext.supplementalGroups"
            yield Reason.RESERVED_USER.explain(where=groups, value=value)


def deny_node_access(context: AdmissionContext) -> Iterator[Explanation]:
    """Where the redirect lets the sidecar's user reach the node, no other container may be able to become that user."""
    if not context.requires_users or context.settings.role_arn is None or context.mode != Mode.REDIRECT:
        return
    for container in read_app_containers(context.pod):
        if missing := [*find_missing_limits(container, context.pod)]:
            yield Reason.NODE_ACCESS.explain(container=read_name(container), problem=", ".join(missing))


def deny_many_reserved_names(context: AdmissionContext) -> Iterator[Explanation]:
    """Each is removed by an operation of the patch, and each operation takes the API server's time."""
    spec = read_spec(context.pod)
    lists = [read_objects(spec, field) for field in (*CONTAINER_FIELDS, "volumes")]
    lists += [read_objects(container, "volumeMounts") for container in read_app_containers(context.pod)]
    if sum(map(len, lists)) <= MAX_RESERVED_NAMES:  # nearly every pod
        return
    count = sum(is_reserved(thing) for things in lists for thing in things)
    if count > MAX_RESERVED_NAMES:
        yield Reason.TOO_MANY_RESERVED_NAMES.explain(count=str(count), maximum=str(MAX_RESERVED_NAMES))


def deny_needed_reserved_names(context: AdmissionContext) -> Iterator[Explanation]:
    """The patch removes reserved names, and the API server would reject what is left without naming podrole."""
    containers = read_objects(read_spec(context.pod), "containers")
    if containers and all(map(is_reserved, containers)):
        yield Reason.ONLY_RESERVED_CONTAINERS.explain(containers=", ".join(map(read_name, containers)))
    for container in read_app_containers(context.pod):
        for device in filter(is_reserved, read_objects(container, "volumeDevices")):
            names = {"container": read_name(container), "volume": read_name(device)}
            yield Reason.RESERVED_BLOCK_DEVICE.explain(**names)


def deny_old_kubernetes(context: AdmissionContext) -> Iterator[Explanation]:
    """An older API server drops the field of native sidecars, and the pod would never finish its init containers.

    A kubelet can be three minor versions older than its API server: https://kubernetes.io/releases/version-skew-policy/
    """
    if context.version is None or context.settings.role_arn is None:
        return
    version = format_version(context.version)
    if context.version < NATIVE_SIDECARS:
        yield Reason.KUBERNETES_TOO_OLD.explain(version=version)
    elif context.version < NATIVE_SIDECARS_ON_ALL_KUBELETS and not context.config.native_sidecars_confirmed:
        yield Reason.NATIVE_SIDECARS_UNCONFIRMED.explain(version=version)
