"""Checks that an answer is what was asked for: a proxy or load balancer can answer instead of the API server.

Which object or collection a request is about follows from its path.
https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
"""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from injector.errors import ObjectError
from injector.k8s.api_errors import MAX_SHOWN, Status
from injector.k8s.objects import Object, read_mapping, read_name, read_objects

UNCOMPRESSED = {None, "", "identity"}


class Target(NamedTuple):
    """What a path is about."""

    api_version: str
    group: str
    resource: str
    """In the plural, such as `serviceaccounts`."""

    name: str
    """Empty for a collection."""

    namespace: str
    """Empty for a collection of all namespaces, and for a resource without namespaces."""


def parse_path(path: str) -> Target | None:
    """What a path is about; None for one without a resource, such as `/version`."""
    match [unquote(segment) for segment in path.strip("/").split("/")]:
        case ["api", version, *rest]:
            group, api_version = "", version
        case ["apis", group, version, *rest]:
            api_version = f"{group}/{version}"
        case _:
            return None
    match rest:
        case ["namespaces", namespace, resource, *others]:
            pass
        case [resource, *others]:
            namespace = ""
        case _:
            return None
    return Target(api_version, group, resource, others[0] if others else "", namespace)


def is_absence(verb: str, target: Target | None, status: Status) -> bool:
    """Whether a Status with the reason NotFound says that what was asked for does not exist.

    A get is about one object. For another verb the namespace can be missing, or the whole resource: its Status then
    names nothing.
    """
    if target is None:
        return False
    found = (status.group, status.resource, status.name)
    if found == (target.group, target.resource, target.name):
        return True
    return verb != "get" and found in {("", "", ""), ("", "namespaces", target.namespace)}


def check_headers(headers: Mapping[str, str], accept: str) -> None:
    """Raise ObjectError unless the body is in the format that was asked for, and not compressed."""
    expected, found = (text.partition(";")[0].strip() for text in (accept, headers.get("Content-Type") or ""))
    if found != expected:
        raise ObjectError(f"its type is {found[:MAX_SHOWN] or 'missing'}, not {expected}")
    if (encoding := headers.get("Content-Encoding")) not in UNCOMPRESSED:
        raise ObjectError(f"it is compressed ({str(encoding)[:MAX_SHOWN]}), which was not asked for")


def check_document(verb: str, target: Target | None, document: Object) -> None:
    """Raise ObjectError unless a document is the object or the list that was asked for."""
    if target is None:
        return
    kind = read_name(document, "kind")
    if verb == "delete" and (kind, document.get("status")) == ("Status", "Success"):
        return
    item_kind = kind
    if verb == "list":
        item_kind = kind.removesuffix("List") if kind.endswith("List") else ""
    if document.get("apiVersion") != target.api_version or not _is_kind_of(item_kind, target.resource):
        raise ObjectError(f"it is a {_shorten(kind)} of {_shorten(document.get('apiVersion'))}, not {target.resource}")
    if verb == "list":
        _check_items(document, item_kind, target)
    else:
        _check_place(document, target)


def _check_items(document: Object, kind: str, target: Target) -> None:
    for item in read_objects(document, "items"):
        if item.get("kind", kind) != kind:
            raise ObjectError(f"an item is a {_shorten(item.get('kind'))}, not a {kind}")
        _check_place(item, target)


def _check_place(thing: Object, target: Target) -> None:
    metadata = read_mapping(thing, "metadata")
    name, namespace = read_name(metadata), read_name(metadata, "namespace")
    if target.name not in {"", name} or target.namespace not in {"", namespace}:
        wanted = "/".join(filter(None, (target.namespace, target.name)))
        raise ObjectError(f"it is {_shorten(namespace)}/{_shorten(name)}, not {wanted}")


def _is_kind_of(kind: str, resource: str) -> bool:
    """Whether the resource is the kind's plural."""
    singular = kind.lower()
    return bool(kind) and resource in {f"{singular}s", f"{singular}es", f"{singular.removesuffix('y')}ies"}


def _shorten(value: Any) -> str:
    return str(value)[:MAX_SHOWN]
