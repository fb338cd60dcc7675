"""What is kept of a namespace or ServiceAccount between two questions: what decisions read, and no more. Pure."""

from typing import Any

from injector.k8s.objects import Metadata, read_mapping, read_strings

CACHED_PREFIXES = ("podrole.io/", "iam.amazonaws.com/", "eks.amazonaws.com/", "pod-security.kubernetes.io/")
"""Domains and not single keys: a key that a decision comes to read, and that is missing here, would be a rule of the
namespace that is silently not kept to. What else objects carry (kubectl's last-applied alone may have 256 KiB) goes."""

MAX_CHARACTERS = 4096
"""Of keys and values of one object together. Anybody who may create ServiceAccounts could fill the memory otherwise:
an object with more is not kept, and so is read anew each time."""

EMPTY = Metadata({}, {})
"""Shared by all objects that say nothing to us: most accounts."""


def parse_key(thing: Any) -> str:
    """What an object is found by: `namespace/name`, or the name alone of one that is in no namespace."""
    metadata = read_mapping(thing, "metadata")
    namespace, name = metadata.get("namespace"), metadata["name"]
    return build_key(namespace, name) if namespace else name


def build_key(namespace: str, name: str) -> str:
    """One string and not a pair: it costs half of the memory, and no name has a slash."""
    return f"{namespace}/{name}"


def parse_entry(thing: Any) -> Metadata | None:
    """What is worth keeping of an object; None if it is too much."""
    metadata = read_mapping(thing, "metadata")
    labels, annotations = (
        {key: value for key, value in read_strings(metadata, field).items() if key.startswith(CACHED_PREFIXES)}
        for field in ("labels", "annotations")
    )
    if not labels and not annotations:
        return EMPTY
    characters = sum(len(key) + len(value) for kept in (labels, annotations) for key, value in kept.items())
    return Metadata(labels, annotations) if characters <= MAX_CHARACTERS else None
