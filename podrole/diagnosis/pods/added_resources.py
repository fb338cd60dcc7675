"""What podrole adds to the resources of a pod, and whether a quota or a LimitRange rejects the pod because of it.

The API server's messages have no machine-readable form:
https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go
https://github.com/kubernetes/kubernetes/blob/master/plugin/pkg/admission/limitranger/admission.go
"""

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction

import contract
from injector.k8s.objects import Object, is_reserved, read_list, read_mapping, read_objects, read_spec
from injector.quantity import parse_quantity

EXCEEDED = re.compile(
    r"exceeded quota: [^,]+, requested: (?P<requested>\S+), used: (?P<used>\S+), limited: (?P<limited>\S+)"
)
NAMED_CONTAINERS = re.compile(r" for: ([a-z0-9,-]+)")
PER_CONTAINER = re.compile(
    r"(?:cpu|memory|ephemeral-storage) usage per Container is [^,]+, but (?:request|limit) is (\S+?)[.,\]]?(?:\s|$)"
)
PER_POD = re.compile(
    r"(?P<which>minimum|maximum) (?P<key>cpu|memory|ephemeral-storage) usage per Pod is (?P<bound>[^,]+), "
    r"but (?P<kind>request|limit) is (?P<value>\S+?)[.,\]]?(?:\s|$)"
)
KINDS = ("requests", "limits")
KEYS = ("cpu", "memory")
NONE = Fraction(0)

Added = Mapping[str, Fraction]
"""By the name that a quota has for it: requests.cpu."""


def measure_added(pod: Object, containers: Sequence[Object]) -> Added:
    """What the pod with podrole's init containers takes beyond its own containers."""
    own = [one for one in read_objects(read_spec(pod), "initContainers") if not is_reserved(one)]
    apps = read_objects(read_spec(pod), "containers")
    return {
        f"{kind}.{key}": added
        for kind in KINDS
        for key in KEYS
        if (added := _sum([*containers, *own], apps, kind, key) - _sum(own, apps, kind, key)) > 0
    }


def format_added(containers: Sequence[Object]) -> str:
    """What podrole's containers request and are limited to, as a manifest has it."""
    texts = []
    for container in containers:
        resources = read_mapping(container, "resources")
        parts = [f"{kind} {_join(read_mapping(resources, kind))}" for kind in KINDS if resources.get(kind)]
        texts.append(f"{container.get('name')}: {', '.join(parts) or 'no requests or limits'}")
    return "; ".join(texts)


def format_containers(containers: Sequence[Object]) -> str:
    """What a policy of the cluster can refuse of podrole's containers."""
    texts = []
    for container in containers:
        capabilities = read_mapping(read_mapping(container, "securityContext"), "capabilities")
        added = "".join(f", capability {name}" for name in read_list(capabilities, "add"))
        texts.append(f"{container.get('name')} (image {container.get('image')}{added})")
    return ", ".join(texts)


def format_requests(pod: Object) -> str:
    """What podrole's containers in a pod request."""
    ours = [one for one in read_objects(read_spec(pod), "initContainers") if is_reserved(one)]
    return format_added([{**one, "resources": {"requests": _read_requests(one)}} for one in ours])


def list_requested(pod: Object) -> set[str]:
    """The resources that podrole's containers in a pod request."""
    ours = (one for one in read_objects(read_spec(pod), "initContainers") if is_reserved(one))
    return {str(key) for one in ours for key in _read_requests(one)}


def _read_requests(container: Object) -> Object:
    return read_mapping(read_mapping(container, "resources"), "requests")


def is_quota_because_of(message: str, added: Added) -> bool | None:
    """Whether the pod would pass the quota of a message without podrole; None where the message does not say it."""
    if names := NAMED_CONTAINERS.findall(message):
        return all(name.startswith(contract.RESERVED_PREFIX) for group in names for name in group.split(","))
    found = EXCEEDED.search(message)
    if found is None:
        return None
    requested, used, limited = (_parse_values(found[name]) for name in ("requested", "used", "limited"))
    for key, value in requested.items():
        without = value - added.get(key if "." in key else f"requests.{key}", NONE)
        if key not in used or key not in limited or used[key] + without > limited[key]:
            return False
    return bool(requested)


def is_limit_range_because_of(message: str, pod: Object, added: Added) -> bool | None:
    """The same for a LimitRange."""
    if found := PER_POD.search(message):
        value, bound = parse_quantity(found["value"]), parse_quantity(found["bound"])
        if found["which"] == "minimum" or value is None or bound is None:
            return False
        return value - added.get(f"{found['kind']}s.{found['key']}", NONE) <= bound
    if found := PER_CONTAINER.search(message):
        return parse_quantity(found[1]) not in _list_values(pod)
    return None


def _sum(init: Sequence[Object], apps: Sequence[Object], kind: str, key: str) -> Fraction:
    """https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers."""
    beside = highest = NONE
    for container in init:
        value = _read(container, kind, key)
        highest = max(highest, beside + value)
        if container.get("restartPolicy") == "Always":
            beside += value
    return max(highest, beside + sum((_read(one, kind, key) for one in apps), NONE))


def _read(container: Object, kind: str, key: str) -> Fraction:
    resources = read_mapping(container, "resources")
    value = read_mapping(resources, kind).get(key)
    if value is None and kind == "requests":  # as the API server sets it
        value = read_mapping(resources, "limits").get(key)
    return NONE if value is None else parse_quantity(value) or NONE


def _list_values(pod: Object) -> set[Fraction | None]:
    """All quantities of the pod's own containers."""
    spec = read_spec(pod)
    own = [*read_objects(spec, "initContainers"), *read_objects(spec, "containers")]
    return {
        parse_quantity(value)
        for container in own
        if not is_reserved(container)
        for kind in KINDS
        for value in read_mapping(read_mapping(container, "resources"), kind).values()
    }


def _parse_values(text: str) -> dict[str, Fraction]:
    pairs = (part.partition("=") for part in text.rstrip(",").split(","))
    return {key: value for key, _, written in pairs if (value := parse_quantity(written)) is not None}


def _join(resources: Object) -> str:
    return ", ".join(f"{key} {value}" for key, value in resources.items())
