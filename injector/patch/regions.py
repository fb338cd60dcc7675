"""The region of an app container: programs read only one of the two variables, so each gets the value of the other.

An empty variable counts as unset, as it does for AWS SDKs.
"""

from collections.abc import Mapping, Sequence

from injector.k8s.objects import Object, as_mapping
from injector.patch.env_from import can_set, find_prefixes
from injector.patch.no_proxy import is_set

REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
PREFIXES = find_prefixes(REGION_VARIABLES)


def find_regions(container: Object, present: Mapping[str, Object], region: str) -> Mapping[str, str]:
    """Return the region variables that the container lacks, with their values; none where `envFrom` can set one."""
    unset = [name for name in REGION_VARIABLES if not is_set(name, present)]
    if not unset or can_set(container, PREFIXES):
        return {}
    if len(unset) == len(REGION_VARIABLES):
        return dict.fromkeys(unset, region)
    [name], [twin] = unset, [name for name in REGION_VARIABLES if name not in unset]
    value = _copy_twin(name, twin, present, container.get("env") or ())
    return {} if value is None else {name: value}


def may_lack_region(container: Object, present: Mapping[str, Object]) -> bool:
    """Whether it has a region only if `envFrom` sets one."""
    return not any(is_set(name, present) for name in REGION_VARIABLES) and can_set(container, PREFIXES)


def _copy_twin(name: str, twin: str, present: Mapping[str, Object], variables: Sequence[Object]) -> str | None:
    """Return the twin's literal value, else a reference; None where the kubelet would not expand that."""
    source = present[twin]
    literal = source.get("value")
    if isinstance(literal, str) and literal and "$" not in literal:
        return literal
    is_later = name in present and variables.index(present[name]) < variables.index(source)
    return None if is_later or _is_optional(source) else f"$({twin})"


def _is_optional(variable: Object) -> bool:
    """Whether the kubelet leaves the variable out if the ConfigMap or Secret does not exist or lacks the key."""
    references = as_mapping(variable.get("valueFrom")).values()
    return any(bool(as_mapping(one).get("optional")) for one in references)
