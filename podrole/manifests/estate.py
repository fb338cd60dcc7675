"""Reads an estate from manifests."""

from collections.abc import Sequence

from injector.k8s.workload_kinds import WORKLOAD_KINDS, Kinds
from injector.k8s.workloads import find_objects
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
    """Read them into an estate. Raises ConfigError."""
    for document in load_documents(filenames, recursive=recursive):
        with error_context(document.location):
            for obj, _ in find_objects(document.content):
                estate.add(obj, default_namespace)
