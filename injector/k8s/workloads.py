"""Finds the pod templates in Kubernetes objects."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from injector.errors import ObjectError
from injector.k8s.objects import JsonPath, Object, read_mapping
from injector.k8s.workload_kinds import BUILT_IN_GROUPS, WORKLOAD_KINDS, Kinds

LISTS = {f"{kind}List": kind for _, kind in WORKLOAD_KINDS}


@dataclass(frozen=True)
class PodTemplate:
    """A pod, or the pod template of a workload."""

    kind: str
    name: str
    namespace: str | None
    """None if the object has no namespace."""

    object_path: JsonPath
    """The path of the object in its document: not empty for the items of a list."""

    template_path: JsonPath
    """The path of the pod template in the object: empty for a pod."""

    pod: Any

    @property
    def document_path(self) -> JsonPath:
        """The path of the pod template in its document."""
        return (*self.object_path, *self.template_path)


def find_objects(document: Any, path: JsonPath = ()) -> Iterator[tuple[Object, JsonPath]]:
    """The object of a document, or each item of a list, with its path. Items of a typed list have no kind."""
    if not isinstance(document, dict):
        return
    kind, items = document.get("kind"), document.get("items")
    if not isinstance(items, list) or not (kind == "List" or kind in LISTS):
        yield document, path
        return
    inherited = {"kind": LISTS[kind], "apiVersion": document.get("apiVersion")} if kind in LISTS else {}
    for index, item in enumerate(items):
        if isinstance(item, dict):
            yield from find_objects(inherited | item, (*path, "items", index))


def find_templates(document: Any, kinds: Kinds = WORKLOAD_KINDS) -> Iterator[PodTemplate]:
    """Every pod template of a document. Raises ObjectError where a template is not an object."""
    for obj, object_path in find_objects(document):
        yield from read_templates(obj, object_path, kinds)


def read_templates(obj: Object, object_path: JsonPath, kinds: Kinds) -> Iterator[PodTemplate]:
    """Every pod template of an object, in the order of the table. Raises ObjectError likewise."""
    known = kinds.get(read_group_kind(obj))
    for path in known.paths if known else ():
        keys = tuple(path.split(".")) if path else ()
        for template_path, pod in _find_values(obj, obj, keys, ()):
            yield build_template(obj, object_path, template_path, pod)


def build_template(obj: Object, object_path: JsonPath, template_path: JsonPath, pod: Any) -> PodTemplate:
    """Name a pod template after its object."""
    namespace = read_mapping(obj, "metadata").get("namespace")
    return PodTemplate(
        str(obj.get("kind")), _read_name(obj), str(namespace) if namespace else None, object_path, template_path, pod
    )


def read_group_kind(obj: Object) -> tuple[str, str]:
    """API group and kind of an object."""
    return str(obj.get("apiVersion") or "").rpartition("/")[0], str(obj.get("kind"))


def _find_values(obj: Object, value: Any, keys: Sequence[str], path: JsonPath) -> Iterator[tuple[JsonPath, Object]]:
    if not keys:
        yield path, _check(obj, value, path)
    elif keys[0] == "*":
        for key, element in _list_elements(value):
            yield from _find_values(obj, element, keys[1:], (*path, key))
    else:
        found = _check(obj, value, path).get(keys[0])
        if found is not None or read_group_kind(obj)[0] in BUILT_IN_GROUPS:
            yield from _find_values(obj, found, keys[1:], (*path, keys[0]))


def _list_elements(value: Any) -> Iterator[tuple[str | int, Any]]:
    """The elements of a list or an object that are objects."""
    elements = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    yield from ((key, element) for key, element in elements if isinstance(element, dict))


def _check(obj: Object, value: Any, path: JsonPath) -> Object:
    if not isinstance(value, dict):
        where = ".".join(map(str, path))
        raise ObjectError(f"{obj['kind']} {_read_name(obj)} has no {where}: it must be an object")
    return value


def _read_name(obj: Object) -> str:
    metadata = read_mapping(obj, "metadata")
    return str(metadata.get("name") or f"{metadata.get('generateName') or ''}*")
