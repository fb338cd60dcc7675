"""The rules: what becomes of a pod. Pure: everything that they need to know is an argument."""

from collections.abc import Iterator
from dataclasses import dataclass

import contract
from injector.annotations import INJECTION_ENABLED, INJECTION_LABEL, MIRROR_ANNOTATION, ROLE, Wishes, parse_wishes
from injector.config import Config
from injector.objects import (
    CONTAINER_FIELDS,
    Metadata,
    Object,
    is_reserved,
    parse_metadata,
    read_app_containers,
    read_mapping,
    read_objects,
    read_spec,
)
from injector.reasons import Explanation, Reason

Explanations = tuple[Explanation, ...]


@dataclass(frozen=True, slots=True)
class Inject:
    """The pod gets its role: redirect and sidecar."""

    role_arn: str
    session_name: str | None
    session_duration: str | None
    imds_v1: str | None
    reason: Reason
    warnings: Explanations = ()


@dataclass(frozen=True, slots=True)
class Block:
    """The pod has no role: a redirect container whose rules close the metadata addresses."""

    reason: Reason
    warnings: Explanations = ()


@dataclass(frozen=True, slots=True)
class Skip:
    """The pod is allowed as it came."""

    reason: Reason
    warnings: Explanations = ()


@dataclass(frozen=True, slots=True)
class Deny:
    """The pod is refused, for every one of these."""

    explanations: Explanations


Decision = Inject | Block | Skip | Deny

UNREACHABLE = {
    Reason.HOST_NETWORK: Reason.HOST_NETWORK_WITH_ROLE,
    Reason.WINDOWS: Reason.WINDOWS_WITH_ROLE,
}
"""Why a redirect is impossible, and the denial where the pod itself asks for a role all the same."""

IDS = ("runAsUser", "runAsGroup", "fsGroup")
POWERFUL_CAPABILITIES = ("NET_ADMIN", "SYS_ADMIN", "ALL")
"""NET_ADMIN deletes the rules; SYS_ADMIN enters the node's network namespace."""


def decide(pod: Object, namespace: Metadata | None, service_account: Metadata | None, config: Config) -> Decision:
    """Decide on a pod that is being created. None: there is no such namespace or ServiceAccount."""
    metadata = parse_metadata(pod)
    if MIRROR_ANNOTATION in metadata.annotations:
        return Skip(Reason.MIRROR_POD)
    if namespace is None:
        name = str(read_mapping(pod, "metadata").get("namespace") or "")
        return Deny((Reason.NAMESPACE_MISSING.explain(namespace=name),))
    if namespace.labels.get(INJECTION_LABEL) != INJECTION_ENABLED:
        return Skip(Reason.NOT_LABELLED)
    wishes = parse_wishes(metadata, namespace, service_account, config)
    unreachable = find_unreachable(pod)
    if unreachable and ROLE not in metadata.annotations:
        return Skip(unreachable, (unreachable.explain(), *wishes.warnings))
    errors = [*wishes.errors, *_find_sidecar_users(pod)]
    if unreachable:
        errors.insert(0, UNREACHABLE[unreachable].explain())
    return Deny(tuple(errors)) if errors else _decide_on_role(wishes, (*wishes.warnings, *_find_powers(pod)), config)


def find_unreachable(pod: Object) -> Reason | None:
    """Why no rules can be put around this pod: it has no network of its own, or no Linux."""
    spec = read_spec(pod)
    if spec.get("hostNetwork"):
        return Reason.HOST_NETWORK
    selected = read_mapping(spec, "nodeSelector").get("kubernetes.io/os")
    return Reason.WINDOWS if "windows" in (read_mapping(spec, "os").get("name"), selected) else None


def _decide_on_role(wishes: Wishes, warnings: Explanations, config: Config) -> Decision:
    if wishes.role_arn is not None:
        return Inject(
            role_arn=wishes.role_arn,
            session_name=wishes.session_name,
            session_duration=wishes.session_duration,
            imds_v1=wishes.imds_v1,
            reason=wishes.role_reason,
            warnings=warnings,
        )
    if config.no_role == "untouched":
        return Skip(Reason.NO_ROLE_UNTOUCHED, wishes.warnings)
    return Block(Reason.NO_ROLE, (Reason.NO_ROLE.explain(), *warnings))


def _find_sidecar_users(pod: Object) -> Iterator[Explanation]:
    spec = read_spec(pod)
    owners = [("spec", spec)]
    for field in CONTAINER_FIELDS:
        containers = read_objects(spec, field)
        owners += [(f"spec.{field}[{c.get('name')}]", c) for c in containers if not is_reserved(c)]
    for where, owner in owners:
        context = read_mapping(owner, "securityContext")
        for key in IDS:
            if context.get(key) == contract.SIDECAR_UID:
                yield Reason.SIDECAR_USER.explain(
                    where=f"{where}.securityContext.{key}", value=str(contract.SIDECAR_UID)
                )
        if contract.SIDECAR_UID in (context.get("supplementalGroups") or ()):
            groups = f"One of {where}.securityContext.supplementalGroups"
            yield Reason.SIDECAR_USER.explain(where=groups, value=str(contract.SIDECAR_UID))


def _find_powers(pod: Object) -> Iterator[Explanation]:
    for container in read_app_containers(pod):
        context = read_mapping(container, "securityContext")
        added = read_mapping(context, "capabilities").get("add") or ()
        powers = ["is privileged"] if context.get("privileged") else []
        powers += [
            f"adds {capability}" for capability in POWERFUL_CAPABILITIES if {capability, f"CAP_{capability}"} & {*added}
        ]
        if powers:
            name = str(container.get("name"))
            yield Reason.POWERFUL_CONTAINER.explain(container=name, power=" and ".join(powers))
