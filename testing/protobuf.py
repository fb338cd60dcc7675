"""Encodes metadata in protobuf, as the API server does: the opposite of `injector.k8s.metadata_stream`.

https://github.com/kubernetes/apimachinery/blob/master/pkg/apis/meta/v1/generated.proto
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

Document = Mapping[str, Any]

MAGIC = b"k8s\0"
MAX_KEPT_BYTES = 16 * 1024
CONTENT_TYPE = "application/vnd.kubernetes.protobuf"


def encode_varint(number: int) -> bytes:
    """Seven bits in each byte, the lowest first."""
    encoded = b""
    while number > 0x7F:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


def encode_field(number: int, value: str | bytes | int) -> bytes:
    """A number, or a string or message with its length."""
    if isinstance(value, int):
        return encode_varint(number << 3) + encode_varint(value)
    data = value if isinstance(value, bytes) else value.encode()
    return encode_varint(number << 3 | 2) + encode_varint(len(data)) + data


def encode_metadata(metadata: Document) -> bytes:
    """An ObjectMeta with its fields in the order of their numbers."""
    return b"".join(_encode_metadata(metadata))


def _encode_metadata(metadata: Document) -> Iterator[bytes]:
    names = ("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion")
    for number, name in enumerate(names, start=1):
        yield encode_field(number, metadata.get(name, ""))
    yield encode_field(7, metadata.get("generation", 0))
    yield encode_field(8, encode_field(1, 1_790_000_000))  # creationTimestamp
    for number, name in ((11, "labels"), (12, "annotations")):
        for key, value in (metadata.get(name) or {}).items():
            yield encode_field(number, encode_field(1, key) + encode_field(2, value))
    for owner in metadata.get("ownerReferences", ()):
        yield encode_field(13, encode_field(1, owner["kind"]) + encode_field(3, owner["name"]))
    yield _encode_finalizers(tuple(metadata.get("finalizers", ())))
    for managed in metadata.get("managedFields", ()):
        fields = encode_field(7, encode_field(1, json.dumps(managed["fieldsV1"])))
        yield encode_field(17, encode_field(1, managed["manager"]) + fields)


@cache
def _encode_finalizers(finalizers: tuple[str, ...]) -> bytes:
    return b"".join(encode_field(14, finalizer) for finalizer in finalizers)


class EncodedDocument(dict[str, Any]):
    """A document that is encoded once, unless it is large: a fake server sends it in many lists."""

    _encoded = b""

    def encode(self) -> bytes:
        encoded = self._encoded or encode_field(1, encode_metadata(self["metadata"]))
        if len(encoded) <= MAX_KEPT_BYTES:
            self._encoded = encoded
        return encoded


def encode_object(document: Document) -> bytes:
    """A PartialObjectMetadata, or a Status."""
    if document.get("kind") == "Status":
        reason = encode_field(4, document.get("reason", ""))
        return encode_field(3, document.get("message", "")) + reason + encode_field(6, document["code"])
    if isinstance(document, EncodedDocument):
        return document.encode()
    return encode_field(1, encode_metadata(document["metadata"]))


def encode_list(page: Document) -> bytes:
    """A PartialObjectMetadataList."""
    metadata = page["metadata"]
    described = encode_field(2, metadata.get("resourceVersion", "")) + encode_field(3, metadata.get("continue", ""))
    return encode_field(1, described) + b"".join(encode_field(2, encode_object(item)) for item in page["items"])


def wrap(kind: str, message: bytes) -> bytes:
    """The envelope of a message."""
    version = "v1" if kind == "Status" else "meta.k8s.io/v1"
    return MAGIC + encode_field(1, encode_field(1, version) + encode_field(2, kind)) + encode_field(2, message)


def encode_document(document: Document) -> bytes:
    """The body of an answer: a list if it has items, else an object."""
    is_list = "items" in document
    message = encode_list(document) if is_list else encode_object(document)
    return wrap(document.get("kind") or f"PartialObjectMetadata{'List' if is_list else ''}", message)


def encode_event(kind: str, document: Document) -> bytes:
    """An event of a watch, after its length."""
    event = encode_field(1, kind) + encode_field(2, encode_field(1, encode_document(document)))
    return len(event).to_bytes(4, "big") + event
