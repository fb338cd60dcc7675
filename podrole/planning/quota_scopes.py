"""Which pods a ResourceQuota counts, as the API server decides it.

https://kubernetes.io/docs/concepts/policy/resource-quotas/#quota-scopes
"""

from collections.abc import Iterator
from typing import NamedTuple

from injector.k8s.objects import Object, read_list, read_mapping, read_objects, read_spec
from podrole.diagnosis.state.selectors import find_mismatch

PRIORITY_CLASS = "PriorityClass"
TERMS = ("requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution")


class PodScope(NamedTuple):
    """What scopes depend on. podrole's containers have requests, so no pod with them is BestEffort."""

    is_terminating: bool = False
    """Whether it has a deadline."""

    has_cross_namespace_affinity: bool = False
    priority_class: str = ""
    """Empty where it has none."""


ANY = PodScope()


def read_scope(pod: Object, default_priority_class: str = "") -> PodScope:
    """Read it from a pod or a pod template. Raises ObjectError."""
    spec = read_spec(pod)
    deadline = spec.get("activeDeadlineSeconds")
    return PodScope(
        is_terminating=isinstance(deadline, int) and deadline >= 0,
        has_cross_namespace_affinity=any(map(_crosses_namespaces, _list_terms(read_mapping(spec, "affinity")))),
        priority_class=str(spec.get("priorityClassName") or default_priority_class),
    )


def counts(quota: Object, scope: PodScope) -> bool:
    """Whether a quota counts a pod: all of its scopes must match. Raises ObjectError."""
    return all(_matches(one, scope) for one in _list_requirements(quota))


def depends_on_priority_class(quota: Object) -> bool:
    """Whether a quota counts only pods of some priority classes, or only those without one. Raises ObjectError."""
    return any(one.get("scopeName") == PRIORITY_CLASS for one in _list_requirements(quota))


def _list_requirements(quota: Object) -> list[Object]:
    spec = read_mapping(quota, "spec")
    scopes = [{"scopeName": one, "operator": "Exists"} for one in read_list(spec, "scopes")]
    return [*scopes, *read_objects(read_mapping(spec, "scopeSelector"), "matchExpressions")]


def _matches(requirement: Object, scope: PodScope) -> bool:
    """The API server accepts operators but Exists for PriorityClass only."""
    match requirement.get("scopeName"):
        case "Terminating":
            return scope.is_terminating
        case "NotTerminating":
            return not scope.is_terminating
        case "NotBestEffort":
            return True
        case "CrossNamespacePodAffinity":
            return scope.has_cross_namespace_affinity
        case "PriorityClass":
            selector = {"matchExpressions": [{**requirement, "key": PRIORITY_CLASS}]}
            labels = {PRIORITY_CLASS: scope.priority_class} if scope.priority_class else {}
            return find_mismatch(selector, labels) is None
        case _:  # BestEffort, and scopes of other objects
            return False


def _list_terms(affinity: Object) -> Iterator[Object]:
    for kind in ("podAffinity", "podAntiAffinity"):
        required, preferred = (read_objects(read_mapping(affinity, kind), one) for one in TERMS)
        yield from required
        yield from (read_mapping(one, "podAffinityTerm") for one in preferred)


def _crosses_namespaces(term: Object) -> bool:
    return bool(term.get("namespaces")) or term.get("namespaceSelector") is not None
