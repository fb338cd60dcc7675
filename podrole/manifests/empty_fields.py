"""Empty fields of a manifest that an injection fills (`env: []`, a null value) are there again after `uninject`.

`podrole inject` records them in the status annotation. The API server drops empty fields, so the webhook sees none.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from jsonpatch import JsonPatch

from injector.k8s.objects import (
    CONTAINER_FIELDS,
    JsonPath,
    Object,
    as_mapping,
    parse_object,
    read_mapping,
    read_objects,
    read_spec,
)
from injector.metadata_keys import STATUS_ANNOTATION
from injector.patch.json_patch import Operation, build_pointer
from injector.patch.pull_secrets import PULL_SECRETS
from injector.patch.uninject import plan_uninjection

POD_FIELDS = (("metadata",), ("metadata", "annotations"), ("metadata", "labels"))
SPEC_FIELDS = ("initContainers", "volumes", PULL_SECRETS)
ADDED_TO_CONTAINERS = ("env", "volumeMounts")
MAX_RECORDED = 500
"""Fields of one pod."""

KEY = "empty"
MISSING = "missing"
"""In place of a value that is not recorded."""

STATUS = build_pointer(("metadata", "annotations", STATUS_ANNOTATION))


def record_empty_fields(pod: Object, operations: Sequence[Operation]) -> Sequence[Operation]:
    """Let an injection's patch record which fields it fills. Nothing remains of a patch that changes nothing."""
    if not operations:
        return operations
    original = _apply(pod, [*restore_empty_fields(pod, plan_uninjection(pod).operations)])
    injected = _apply(pod, operations)
    filled = [(path, value) for path, value in _list_empty(original) if not _is_empty(injected, path)]
    written = read_mapping(read_mapping(injected, "metadata"), "annotations").get(STATUS_ANNOTATION)
    if not filled or written is None:
        return operations
    status = json.loads(written)
    status[KEY] = {build_pointer(path): value for path, value in filled[:MAX_RECORDED]}
    value = json.dumps(status, separators=(",", ":"))
    recorded = [*operations, {"op": "replace", "path": STATUS, "value": value}]
    return [] if _apply(pod, recorded) == pod else recorded


def restore_empty_fields(pod: Object, operations: Sequence[Operation]) -> Iterator[Operation]:
    """The operations of an uninjection, and those that add the recorded fields."""
    yield from operations
    if not operations or not (recorded := _read_record(pod)):
        return
    restored = _apply(pod, operations)
    if "metadata" not in restored and any(name.startswith("/metadata/") for name in recorded):
        restored["metadata"] = {}
        yield {"op": "add", "path": "/metadata", "value": {}}
    for path in _list_fields(restored):
        value = recorded.get(build_pointer(path), MISSING)
        if value in ([], {}, None) and _is_missing(restored, path):
            yield {"op": "add", "path": build_pointer(path), "value": value}


def _list_fields(pod: Object) -> Iterator[JsonPath]:
    """Every field that an injection can fill, outer ones first."""
    yield from POD_FIELDS
    yield from (("spec", field) for field in SPEC_FIELDS)
    spec = read_spec(pod)
    for field in CONTAINER_FIELDS:
        for index, container in enumerate(read_objects(spec, field)):
            yield from (("spec", field, index, one) for one in ADDED_TO_CONTAINERS)
            env = read_objects(container, "env")
            yield from (("spec", field, index, "env", position, "value") for position, _ in enumerate(env))


def _list_empty(pod: Object) -> Iterator[tuple[JsonPath, Any]]:
    for path in _list_fields(pod):
        parent = _find_parent(pod, path)
        if parent is not None and path[-1] in parent and _is_empty(pod, path):
            yield path, parent[path[-1]]


def _is_empty(pod: Object, path: JsonPath) -> bool:
    parent = _find_parent(pod, path)
    return parent is not None and parent.get(path[-1]) in ([], {}, None)


def _is_missing(pod: Object, path: JsonPath) -> bool:
    """Whether there is no such field where there could be one, or the empty text that is left of a variable's value."""
    parent = _find_parent(pod, path)
    return parent is not None and (path[-1] not in parent or parent[path[-1]] == "")


def _find_parent(pod: Object, path: JsonPath) -> Any:
    value: Any = pod
    for key in path[:-1]:
        value = value[key] if isinstance(key, int) else value.get(key)
        if not isinstance(value, dict | list):
            return None
    return value


def _read_record(pod: Object) -> Object:
    """The recorded fields; empty if the annotation is not readable, because anybody can write it."""
    status = parse_object(read_mapping(read_mapping(pod, "metadata"), "annotations").get(STATUS_ANNOTATION))
    return as_mapping(as_mapping(status).get(KEY))


def _apply(pod: Object, operations: Sequence[Operation]) -> Any:
    return JsonPatch(operations).apply(pod)
