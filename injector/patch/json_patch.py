"""The JSON Patch that changes a pod according to an injection plan: minimal, and empty if nothing changes.

All JSON Pointers are built here. An array that has elements is never replaced.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from jsonpatch import JsonPatch

import contract
from injector.k8s.objects import CONTAINER_FIELDS, JsonPath, Object, is_reserved, read_mapping, read_objects, read_spec
from injector.patch.api_defaults import CONTAINER_DEFAULTS, VOLUME_DEFAULTS, equals_ignoring_defaults
from injector.patch.app_env import UNCHANGED, EnvironmentChange
from injector.patch.plan import InjectionPlan
from injector.patch.pod_uid import POD_UID
from injector.patch.pull_secrets import PULL_SECRETS

Operation = dict[str, Any]


class PatchBuilder:
    """Collects operations in the order in which they are applied; each one applies to the result of those before it.

    https://www.rfc-editor.org/rfc/rfc6902
    """

    def __init__(self) -> None:
        self._operations: list[Operation] = []

    def add(self, path: JsonPath, value: Any) -> None:
        """Set a member of an object, or insert into a list."""
        self._operations.append({"op": "add", "path": build_pointer(path), "value": value})

    def replace(self, path: JsonPath, value: Any) -> None:
        """Replace an existing value."""
        self._operations.append({"op": "replace", "path": build_pointer(path), "value": value})

    def remove(self, path: JsonPath) -> None:
        """Remove a member of an object, or an element of a list."""
        self._operations.append({"op": "remove", "path": build_pointer(path)})

    def remove_all(self, path: JsonPath, indexes: Sequence[int]) -> None:
        """Remove elements of a list, from its end so that the remaining indexes stay valid."""
        for index in sorted(indexes, reverse=True):
            self.remove((*path, index))

    def insert(self, path: JsonPath, present: object, elements: Sequence[Any], *, at_front: bool = False) -> None:
        """Insert into the list at `path`. If it is missing, null or empty (`present` is falsy), create it."""
        if elements and not present:
            self.add(path, list(elements))
            return
        pointer = build_pointer(path)
        self._operations += [
            {"op": "add", "path": f"{pointer}/{position if at_front else '-'}", "value": element}
            for position, element in enumerate(elements)
        ]

    @property
    def built(self) -> list[Operation]:
        """The operations."""
        return self._operations


@lru_cache(maxsize=256)
def build_pointer(path: JsonPath) -> str:
    """Build a JSON Pointer, https://www.rfc-editor.org/rfc/rfc6901 ."""
    return "".join(["/" + str(part).replace("~", "~0").replace("/", "~1") for part in path])


def build_patch(pod: Object, plan: InjectionPlan) -> JsonPatch:
    """Build a patch that can be applied in this process. For an API server `build_operations` is enough, and faster."""
    return JsonPatch(build_operations(pod, plan))


def build_operations(pod: Object, plan: InjectionPlan) -> list[Operation]:
    """Build the operations after which the pod has what the plan says, and nothing else with a reserved name."""
    operations = PatchBuilder()
    for field in CONTAINER_FIELDS:
        _patch_containers(operations, pod, field, plan)
    _patch_volumes(operations, pod, plan)
    secrets = [{"name": name} for name in plan.pull_secrets.missing]
    operations.insert(("spec", PULL_SECRETS), read_spec(pod).get(PULL_SECRETS), secrets)
    _patch_metadata(operations, pod, {"annotations": plan.annotations, "labels": plan.labels})
    return operations.built


def _patch_containers(operations: PatchBuilder, pod: Object, field: str, plan: InjectionPlan) -> None:
    path = ("spec", field)
    ours = plan.init_containers if field == "initContainers" else ()
    present = read_objects(read_spec(pod), field)
    reserved = [index for index, container in enumerate(present) if is_reserved(container)]
    is_in_place = reserved == [*range(len(ours))] and all(
        equals_ignoring_defaults(one, other, CONTAINER_DEFAULTS) for one, other in zip(ours, present, strict=False)
    )
    if not is_in_place:
        operations.remove_all(path, reserved)
    position = len(reserved) if is_in_place else 0
    for index, container in enumerate(present):
        if not is_reserved(container):
            change = plan.environment.get((field, index), UNCHANGED)
            _patch_app_container(operations, (*path, position), container, change)
            position += 1
    if not is_in_place:
        operations.insert(path, present, ours, at_front=True)


def _patch_app_container(
    operations: PatchBuilder, path: JsonPath, container: Object, change: EnvironmentChange
) -> None:
    mounts = [index for index, mount in enumerate(read_objects(container, "volumeMounts")) if is_reserved(mount)]
    operations.remove_all((*path, "volumeMounts"), mounts)
    for index, value in (change.replacements or {}).items():
        operations.add((*path, "env", index, "value"), value)  # "add", as the variable can lack a value
    operations.remove_all((*path, "env"), change.removed)
    added = change.additions
    first = [POD_UID] if contract.ENV_POD_UID in added else []
    others = [{"name": name, "value": value} for name, value in added.items() if name != contract.ENV_POD_UID]
    if env := container.get("env"):
        operations.insert((*path, "env"), env, first, at_front=True)
        operations.insert((*path, "env"), env, others)
    else:
        operations.insert((*path, "env"), env, [*first, *others])


def _patch_volumes(operations: PatchBuilder, pod: Object, plan: InjectionPlan) -> None:
    path = ("spec", "volumes")
    present = read_objects(read_spec(pod), "volumes")
    missing = list(plan.volumes)
    removed = []
    for index, volume in enumerate(present):
        if not is_reserved(volume):
            continue
        same = next((piece for piece in missing if equals_ignoring_defaults(piece, volume, VOLUME_DEFAULTS)), None)
        if same is None:
            removed.append(index)
        else:
            missing.remove(same)
    operations.remove_all(path, removed)
    operations.insert(path, present, missing)


def _patch_metadata(operations: PatchBuilder, pod: Object, wanted: Mapping[str, Mapping[str, str]]) -> None:
    """Set annotations and labels."""
    metadata = read_mapping(pod, "metadata")
    if not metadata:
        operations.add(("metadata",), {field: {**values} for field, values in wanted.items()})
        return
    for field, values in wanted.items():
        present = read_mapping(metadata, field)
        if not present:
            operations.add(("metadata", field), {**values})
            continue
        for key, value in values.items():
            if present.get(key) != value:
                operations.add(("metadata", field, key), value)
