"""Reads Kubernetes objects as plain JSON; null counts as empty. An unexpected type raises ObjectError.

`as_mapping` and `as_list` are for what the API server does not validate, or nobody but podrole needs: they never raise.

The typed models of the package `kubernetes` cannot hold a pod: they drop every field that they do not know.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import contract
from injector.errors import ObjectError

CONTAINER_FIELDS = ("initContainers", "containers")
"""A pod that is being created cannot have ephemeral containers yet."""

MAX_SHOWN_KEY = 317
"""Characters of a key in an error: those of the longest that Kubernetes accepts."""

Object = Mapping[str, Any]

JsonPath = tuple[str | int, ...]
"""Keys and indexes from the root of a document."""


class Metadata(NamedTuple):
    """Labels and annotations of an object."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]


EMPTY_METADATA = Metadata({}, {})
"""Of an object that has none, does not exist or could not be read. Shared, as most cached objects have none."""


def parse_object(text: Any) -> Object | None:
    """The JSON object in a text that anybody can have written; None if it is anything else."""
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def as_mapping(value: Any) -> Object:
    """The value, or an empty object if it is of another type."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """The value, or an empty list if it is of another type."""
    return value if isinstance(value, list) else []


def parse_metadata(obj: Object) -> Metadata:
    """The labels and annotations of any Kubernetes object."""
    metadata = read_mapping(obj, "metadata")
    return Metadata(read_strings(metadata, "labels"), read_strings(metadata, "annotations"))


def read_mapping(parent: Object, key: str) -> Object:
    """The object under a key; empty where it is missing or null."""
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ObjectError(f"{key} is of type {type(value).__name__}: Kubernetes has an object there")
    return value


def read_strings(parent: Object, key: str) -> Mapping[str, str]:
    """The map of strings under a key, as labels and annotations are; empty where it is missing or null."""
    strings = read_mapping(parent, key)
    for name, value in strings.items():
        if not isinstance(value, str):
            shown = str(name)[:MAX_SHOWN_KEY]  # in YAML a key can be a boolean
            raise ObjectError(f"{key}: the value of {shown} is of type {type(value).__name__}: quote it")
    return strings


def read_list(parent: Object, key: str) -> Sequence[Any]:
    """The list under a key; empty where it is missing or null."""
    value = parent.get(key)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ObjectError(f"{key} must be a list, as Kubernetes has it, and is of type {type(value).__name__}")
    return value


def read_objects(parent: Object, key: str) -> Sequence[Object]:
    """The list of objects under a key; empty where it is missing or null."""
    value = read_list(parent, key)
    for element in value:
        if not isinstance(element, dict):
            raise ObjectError(f"{key} must be a list of objects, as Kubernetes has it")
    return value


def read_spec(pod: Object) -> Object:
    """The pod's spec, which every pod has."""
    spec = pod.get("spec")
    if not isinstance(spec, dict):
        raise ObjectError("the pod has no spec: it must be an object")
    return spec


def read_app_containers(pod: Object) -> Sequence[Object]:
    """All containers except podrole's, in the order of the pod."""
    spec = read_spec(pod)
    return [
        container for field in CONTAINER_FIELDS for container in read_objects(spec, field) if not is_reserved(container)
    ]


def read_name(named: Object, key: str = "name") -> str:
    """The name of a container, variable or other object for messages; empty where it is missing or not a string."""
    name = named.get(key)
    return name if isinstance(name, str) else ""


def read_pod_name(pod: Object) -> str:
    """The pod's name for messages; `web-*` while a pod with generateName `web-` is being created."""
    metadata = read_mapping(pod, "metadata")
    return read_name(metadata) or f"{read_name(metadata, 'generateName')}*"


def read_owner(pod: Object) -> str | None:
    """The pod's controller, as `ReplicaSet/web-5d9c`; None without a controller. For messages: never raises."""
    metadata = pod.get("metadata")
    references = metadata.get("ownerReferences") if isinstance(metadata, dict) else None
    for reference in references if isinstance(references, list) else ():
        if isinstance(reference, dict) and reference.get("controller") is True:
            return f"{read_name(reference, 'kind')}/{read_name(reference)}"
    return None


def read_service_account_name(pod: Object) -> str:
    """The ServiceAccount that the pod runs as; `default` if it names none, as the API server fills in."""
    spec = read_spec(pod)
    name = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    if not isinstance(name, str):
        raise ObjectError(f"serviceAccountName must be a string, and is of type {type(name).__name__}")
    return name


def is_reserved(named: Object) -> bool:
    """Whether the name of a container, volume or mount is reserved for podrole."""
    name = named.get("name")
    return isinstance(name, str) and name.startswith(contract.RESERVED_PREFIX)
