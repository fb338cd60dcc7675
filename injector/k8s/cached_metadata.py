"""What is read of a namespace or ServiceAccount: the labels and annotations that decisions use, each up to its limit.

Everything else is skipped: of one object the API server stores up to 1.5 MiB, and a user can create many.
https://github.com/kubernetes/apimachinery/blob/master/pkg/apis/meta/v1/generated.proto: ObjectMeta
"""

import sys
from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple

from injector.errors import ObjectError
from injector.k8s.objects import EMPTY_METADATA, Metadata
from injector.k8s.protobuf import CutOffError, Field, read_fields
from injector.metadata_keys import NAMESPACE_LABELS, NAMESPACE_LIMITS, PREFIX, SERVICE_ACCOUNT_LIMITS
from injector.similar_keys import MAX_KEY, may_be_meant

METADATA = 1
NAME, NAMESPACE, RESOURCE_VERSION, LABELS, ANNOTATIONS = 1, 3, 6, 11, 12
KEY, VALUE = 1, 2

MAX_LABEL_BYTES = 63
"""https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set"""

MAX_UTF8_BYTES = 4
"""Of one character."""

MAX_FIELDS = 1000
"""Of an object's metadata: labels, annotations, finalizers, owners, managed fields. 1.5 MiB can hold 300 000, and each
costs a microsecond."""

MAX_SIMILAR_KEYS = 3
"""Keys of one object that resemble podrole's and are kept, without their values, to name them in a warning."""

MAX_NAMESPACE_BYTES, MAX_ACCOUNT_BYTES = 4096, 1024
MAX_CACHED_BYTES: Mapping[str, int] = {"Namespace": MAX_NAMESPACE_BYTES, "ServiceAccount": MAX_ACCOUNT_BYTES}
"""Memory of the labels and annotations of one object. A larger one is not cached, and so is read live each time:
otherwise any user who can create ServiceAccounts could fill the memory."""


class KeptKey(NamedTuple):
    """A label or annotation that decisions read."""

    name: str
    """Shared by all objects."""

    max_bytes: int
    """Of its value."""


def _by_bytes(limits: Mapping[str, int]) -> Mapping[bytes, KeptKey]:
    return {name.encode(): KeptKey(name, limit) for name, limit in limits.items()}


KEPT_KEYS: Mapping[str, Mapping[int, Mapping[bytes, KeptKey]]] = {
    "Namespace": {
        LABELS: _by_bytes(dict.fromkeys(NAMESPACE_LABELS, MAX_LABEL_BYTES)),
        ANNOTATIONS: _by_bytes(NAMESPACE_LIMITS),
    },
    "ServiceAccount": {LABELS: {}, ANNOTATIONS: _by_bytes(SERVICE_ACCOUNT_LIMITS)},
}


SHARED_KEYS = frozenset(key.name for maps in KEPT_KEYS.values() for keys in maps.values() for key in keys.values())


class ReadObject(NamedTuple):
    """One object, reduced to what decisions use."""

    key: str
    """`namespace/name`, or the name alone of an object without a namespace. Empty: a bookmark has no name."""

    resource_version: str
    metadata: Metadata | None
    """None: the object is too large."""


def join_key(namespace: str, name: str) -> str:
    """One string needs half the memory of a pair, and no name contains a slash."""
    return f"{namespace}/{name}"


def read_object(kind: str, data: bytes, start: int = 0, end: int | None = None) -> ReadObject:
    """Read an object of which `metadata` is the first field, as every Kubernetes object is; raise ObjectError."""
    for number, value_start, value_end in read_fields(data, start, len(data) if end is None else end):
        if number == METADATA:
            return read_metadata(kind, data, value_start, value_end)
    raise ObjectError("an object has no metadata")


def read_metadata(kind: str, data: bytes, start: int, end: int) -> ReadObject:
    """Read an ObjectMeta. Its fields are in the order of their numbers, so those with many values come last."""
    strings: dict[int, str] = {}
    kept: dict[int, dict[str, str]] = {LABELS: {}, ANNOTATIONS: {}}
    fields = read_fields(data, start, end)
    try:
        for number, value_start, value_end in islice(fields, MAX_FIELDS):
            if number in kept:
                _keep_entry(kept[number], data, (value_start, value_end), KEPT_KEYS[kind][number])
            elif number in {NAME, NAMESPACE, RESOURCE_VERSION}:
                strings[number] = _decode(data[value_start:value_end])
        is_complete = end <= len(data) and next(fields, None) is None
    except CutOffError:
        is_complete = False
    metadata = _build_metadata(kept) if is_complete else None
    return ReadObject(_build_key(strings), strings.get(RESOURCE_VERSION, ""), metadata)


def fits_cache(kind: str, metadata: Metadata) -> bool:
    """Whether an object's labels and annotations take little enough memory. Objects share the keys that decisions read.

    Python stores a string with one emoji in four bytes for each character.
    """
    keys = [key for key in (*metadata.labels, *metadata.annotations) if key not in SHARED_KEYS]
    values = [*metadata.labels.values(), *metadata.annotations.values()]
    return sum(map(sys.getsizeof, (*keys, *values))) <= MAX_CACHED_BYTES[kind]


def _build_key(strings: Mapping[int, str]) -> str:
    name, namespace = strings.get(NAME, ""), strings.get(NAMESPACE)
    return join_key(namespace, name) if namespace else name


def _build_metadata(kept: Mapping[int, Mapping[str, str]]) -> Metadata:
    labels, annotations = kept[LABELS], kept[ANNOTATIONS]
    return Metadata(labels, annotations) if labels or annotations else EMPTY_METADATA


def _keep_entry(kept: dict[str, str], data: bytes, place: tuple[int, int], keys: Mapping[bytes, KeptKey]) -> None:
    """Add a label or annotation if decisions read it. A value over its limit is cut to one character more at most."""
    entry: dict[int, Field] = {field[0]: field for field in islice(read_fields(data, *place), 2)}
    if KEY not in entry or VALUE not in entry:
        raise ObjectError("a label or annotation has no key or no value")
    _, key_start, key_end = entry[KEY]
    if key := keys.get(data[key_start:key_end]):
        _, value_start, value_end = entry[VALUE]
        kept[key.name] = _decode(data[value_start : min(value_end, value_start + key.max_bytes + MAX_UTF8_BYTES)])
    elif key_end - key_start <= MAX_KEY:
        name = _decode(data[key_start:key_end])
        is_similar = name.startswith(PREFIX) or may_be_meant(name)
        if is_similar and len(kept.keys() - SHARED_KEYS) < MAX_SIMILAR_KEYS:
            kept[name] = ""


def _decode(text: bytes) -> str:
    """The API server does not check the text that it gets in this format, so it can be invalid."""
    return text.decode(errors="replace")
