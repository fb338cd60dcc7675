"""What the cache keeps of a namespace or ServiceAccount: the labels and annotations that decisions read."""

from injector.k8s.objects import Metadata, Object, read_mapping, read_string, read_strings

CACHED_PREFIXES = ("podrole.io/", "iam.amazonaws.com/", "eks.amazonaws.com/", "pod-security.kubernetes.io/")
"""Domains, not single keys: a decision that starts to read another key of these must not find it missing. All other
labels and annotations are dropped: kubectl's last-applied-configuration alone can have 256 KiB."""

MAX_CHARACTERS = 4096
"""Of all keys and values of one object. A larger object is not cached, and so is read live each time: otherwise any
user who may create ServiceAccounts could fill the memory."""

EMPTY_METADATA = Metadata({}, {})
"""Shared by all objects that have none of these keys: most ServiceAccounts."""


def build_key(obj: Object) -> str:
    """The cache key of an object: `namespace/name`, or the name alone of an object without a namespace."""
    metadata = read_mapping(obj, "metadata")
    name = read_string(metadata, "name")
    return join_key(read_string(metadata, "namespace"), name) if metadata.get("namespace") else name


def join_key(namespace: str, name: str) -> str:
    """One string needs half the memory of a pair, and no name contains a slash."""
    return f"{namespace}/{name}"


def parse_cached_metadata(obj: Object) -> Metadata | None:
    """The part of an object's metadata that is cached; None if it is too large."""
    metadata = read_mapping(obj, "metadata")
    labels, annotations = (
        {key: value for key, value in read_strings(metadata, field).items() if key.startswith(CACHED_PREFIXES)}
        for field in ("labels", "annotations")
    )
    if not labels and not annotations:
        return EMPTY_METADATA
    characters = sum(len(key) + len(value) for strings in (labels, annotations) for key, value in strings.items())
    return Metadata(labels, annotations) if characters <= MAX_CHARACTERS else None
