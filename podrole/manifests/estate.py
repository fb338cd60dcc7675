"""Reads an estate from manifests."""

from collections.abc import Sequence

from injector.k8s.objects import Object, read_mapping
from injector.k8s.workload_kinds import WORKLOAD_KINDS, Kinds
from injector.k8s.workloads import find_objects, read_group_kind
from podrole.estate.objects import Estate
from podrole.manifests.error_context import error_context
from podrole.yaml.documents import load_documents


def load_estate(filenames: Sequence[str], kinds: Kinds = WORKLOAD_KINDS, *, recursive: bool = False) -> Estate:
    """Read files, directories and stdin (`-`). Raises ConfigError."""
    estate = Estate(kinds=kinds)
    add_manifests(estate, filenames, recursive=recursive)
    return estate


def add_manifests(
    estate: Estate, filenames: Sequence[str], default_namespace: str = "default", *, recursive: bool = False
) -> None:
    """Read them into an estate. Of an object that is there twice the last one counts, as kubectl applies them in order.

    Raises ConfigError.
    """
    objects: dict[object, tuple[str, Object]] = {}
    for document in load_documents(filenames, recursive=recursive):
        with error_context(document.location):
            for obj, _ in find_objects(document.content):
                key = _identify(obj, default_namespace)
                objects.pop(key, None)
                objects[key] = (document.location, obj)
    for location, obj in objects.values():
        with error_context(location):
            estate.add(obj, default_namespace)


def _identify(obj: Object, default_namespace: str) -> object:
    """What tells objects apart. One without a name gets its own from the API server."""
    metadata = read_mapping(obj, "metadata")
    if not metadata.get("name"):
        return id(obj)
    return str(metadata.get("namespace") or default_namespace), *read_group_kind(obj), str(metadata["name"])
