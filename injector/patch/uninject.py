"""Takes out of a pod what an injection added: podrole's containers, volumes and mounts, and the recorded variables."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jsonpatch import JsonPatch
from jsonpointer import JsonPointer

from injector.k8s.objects import CONTAINER_FIELDS, JsonPath, Object, is_reserved, read_mapping, read_objects, read_spec
from injector.metadata_keys import WRITTEN_KEYS
from injector.patch.injection_labels import find_kept
from injector.patch.injection_record import (
    ContainerRecord,
    Records,
    find_app_containers,
    label_containers,
    read_records,
)
from injector.patch.json_patch import Operation, PatchBuilder
from injector.patch.pod_uid import is_addition
from injector.patch.pull_secrets import PULL_SECRETS, find_recorded


@dataclass(frozen=True, slots=True)
class Uninjection:
    """How to take an injection back."""

    operations: list[Operation]
    changed_variables: tuple[tuple[str, str], ...]
    """Container and name of each recorded variable that has another value now. It stays."""

    is_recorded: bool
    """Whether the pod records which variables were added. If not, all of them stay."""


def build_uninject_patch(pod: Object) -> JsonPatch:
    """Build the patch that takes an injection back; empty for a pod that was never injected."""
    return JsonPatch(plan_uninjection(pod).operations)


def plan_uninjection(pod: Object, *, is_template: bool = False) -> Uninjection:
    """Plan the removal of everything with a reserved name or key, and of the variables that the pod's record lists.

    An injection removes reserved names too, so it does not matter who wrote them; only labels of a pod template stay
    that its author wrote. Lists and objects that become empty are removed.
    """
    operations = PatchBuilder()
    spec, records = read_spec(pod), read_records(pod)
    for field in CONTAINER_FIELDS:
        operations.remove_all(("spec", field), _find_reserved(read_objects(spec, field)))
    changed = [*_restore_containers(operations, pod, records or {})]
    operations.remove_all(("spec", "volumes"), _find_reserved(read_objects(spec, "volumes")))
    operations.remove_all(("spec", PULL_SECRETS), find_recorded(pod))
    _remove_written_keys(operations, read_mapping(pod, "metadata"), find_kept(pod) if is_template else ())
    return Uninjection(_remove_emptied(operations.built, pod), tuple(changed), is_recorded=records is not None)


def _remove_written_keys(operations: PatchBuilder, metadata: Object, kept: Sequence[str]) -> None:
    for noun, keys in WRITTEN_KEYS.items():
        present = read_mapping(metadata, f"{noun}s")
        for key in keys:
            if key in present and key not in kept:
                operations.remove(("metadata", f"{noun}s", key))


def _find_reserved(things: Sequence[Object]) -> list[int]:
    return [index for index, thing in enumerate(things) if is_reserved(thing)]


def _restore_containers(operations: PatchBuilder, pod: Object, records: Records) -> Iterator[tuple[str, str]]:
    """Yield container and name of each variable that was changed since."""
    positions = Counter[str]()
    for label, (field, _), container in label_containers(find_app_containers(pod)):
        path = ("spec", field, positions[field])
        positions[field] += 1
        operations.remove_all((*path, "volumeMounts"), _find_reserved(read_objects(container, "volumeMounts")))
        if label in records:
            env = read_objects(container, "env")
            for name in _restore_environment(operations, (*path, "env"), env, records[label]):
                yield label, name


def _restore_environment(
    operations: PatchBuilder, path: JsonPath, env: Sequence[Object], record: ContainerRecord
) -> Iterator[str]:
    last = {str(variable.get("name")): index for index, variable in enumerate(env)}
    removed = []
    for name, value in record.added.items():
        added = [index for index, variable in enumerate(env) if is_addition(variable, name, value)]
        removed += added[-1:]
        if name in last and not added:
            yield name
    for name, suffix in record.appended.items():
        if name not in last:
            continue
        present = env[last[name]].get("value")
        if isinstance(present, str) and present.endswith(suffix):
            operations.replace((*path, last[name], "value"), present.removesuffix(suffix))
        else:
            yield name
    for name, value in record.filled.items():
        if name not in last or name in record.appended:
            continue
        if env[last[name]].get("value") == value:
            operations.remove((*path, last[name], "value"))
        else:
            yield name
    operations.remove_all(path, removed)


def _remove_emptied(operations: list[Operation], pod: Object) -> list[Operation]:
    """Where removals empty a list or an object, remove that instead. Elements of lists stay: indexes must not shift."""
    while emptied := _find_emptied(operations, pod):
        kept: list[Operation] = []
        for operation in operations:
            parent = operation["path"].rpartition("/")[0]
            if operation["op"] != "remove" or parent not in emptied:
                kept.append(operation)
            elif {"op": "remove", "path": parent} not in kept:
                kept.append({"op": "remove", "path": parent})
        operations = kept
    return operations


def _find_emptied(operations: list[Operation], pod: Object) -> set[str]:
    after: Any = JsonPatch(operations).apply(pod)
    parents = {operation["path"].rpartition("/")[0] for operation in operations if operation["op"] == "remove"}
    return {
        parent
        for parent in parents - {"", "/spec"}
        if not parent.rpartition("/")[2].isdigit() and not JsonPointer(parent).resolve(after)
    }
