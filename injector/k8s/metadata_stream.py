"""Reads lists and watches of metadata in protobuf, object by object: one object at a time is in memory.

https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from injector.errors import ObjectError
from injector.k8s.api_errors import Status, build_api_error
from injector.k8s.cached_metadata import ReadObject, read_object
from injector.k8s.protobuf import ByteSource, read_fields, read_varint

MAGIC = b"k8s\0"
TYPE, RAW = 1, 2
"""Fields of the envelope (`Unknown`): the type of the object, and the object."""

API_VERSION, KIND = 1, 2
METADATA_TYPE = ("meta.k8s.io/v1", "PartialObjectMetadata")
LIST_TYPE = ("meta.k8s.io/v1", "PartialObjectMetadataList")
STATUS_TYPE = ("v1", "Status")
"""apiVersion and kind."""

MAX_TYPE_BYTES = 1024

LIST_METADATA, ITEMS = 1, 2
LIST_VERSION, CONTINUE = 2, 3
EVENT_TYPE, EVENT_OBJECT, EXTENSION_RAW = 1, 2, 1
MAX_STATUS_CHARACTERS = 4096
"""Of the message and the reason of an ERROR event. Errors and the log copy them."""

STATUS_MESSAGE, STATUS_REASON, STATUS_CODE = 3, 4, 6
LENGTH_BYTES = 4
"""Before each event, as a big-endian number."""

MAX_OBJECT_BYTES = 2 * 1024 * 1024
"""etcd stores 1.5 MiB at most. A larger object, where etcd's limit was raised, is not read."""

MAX_LIST_METADATA_BYTES = 64 * 1024
MAX_EVENT_BYTES = 64 * 1024 * 1024
"""More than an API server stores: it is no event."""

HEAD_BYTES = 4096
"""What is read of an event with a larger object: its name and resource version come first."""


class ListMetadata(NamedTuple):
    """What a page of a list says about itself."""

    resource_version: str
    continue_token: str
    """For the next page; empty on the last one."""

    objects: int = 0
    """How many objects the page has."""


class WatchEvent(NamedTuple):
    """https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes."""

    type: str
    """ADDED, MODIFIED, DELETED or BOOKMARK."""

    object: ReadObject


def read_list(kind: str, source: ByteSource, add: Callable[[ReadObject], None]) -> ListMetadata:
    """Read one page, and call `add` for each object that is not too large; raise ObjectError."""
    try:
        found = _read_list(kind, source, add)
    except EOFError as error:
        raise ObjectError("a list is cut off") from error
    if found is None:
        raise ObjectError("a list has no metadata")
    return found


def _read_list(kind: str, source: ByteSource, add: Callable[[ReadObject], None]) -> ListMetadata | None:
    found, count = None, 0
    end = _open_envelope(source)
    while source.position < end:
        number, length = source.read_field()
        count += number == ITEMS
        if number == ITEMS and length <= MAX_OBJECT_BYTES:
            add(read_object(kind, source.read(length)))
        elif number == LIST_METADATA and length <= MAX_LIST_METADATA_BYTES:
            found = _read_list_metadata(source.read(length))
        else:
            source.skip(length)
    return found and found._replace(objects=count)


def _open_envelope(source: ByteSource) -> int:
    """Read up to the object; return the position where it ends."""
    if source.read(len(MAGIC)) != MAGIC:
        raise ObjectError("it is not in protobuf")
    number, length = source.read_field()
    if number != TYPE or length > MAX_TYPE_BYTES:
        raise ObjectError("it has no type")
    _check_type(source.read(length), 0, length, LIST_TYPE)
    while number != RAW:
        number, length = source.read_field()
        if number != RAW:
            source.skip(length)
    return source.position + length


def _read_list_metadata(data: bytes) -> ListMetadata:
    strings = {number: _decode(data, start, end) for number, start, end in read_fields(data, 0, len(data))}
    if not strings.get(LIST_VERSION):
        raise ObjectError("a list has no resourceVersion")
    return ListMetadata(strings[LIST_VERSION], strings.get(CONTINUE, ""))


def read_single(kind: str, data: bytes) -> ReadObject:
    """An object that was read alone."""
    return read_object(kind, data, *_unwrap(data, 0, len(data), METADATA_TYPE))


def read_events(kind: str, source: ByteSource, action: str) -> Iterator[WatchEvent]:
    """The events of a watch until it ends; raise the error that an ERROR event stands for, or ObjectError.

    An event that is cut off belongs to a watch that was cut off: the next watch repeats it.
    """
    while True:
        try:
            data, length = _read_event(source)
        except EOFError:
            return
        yield _parse_event(kind, data, length, action)


def _read_event(source: ByteSource) -> tuple[bytes, int]:
    """The event and its length; of one that is too large only the beginning."""
    length = int.from_bytes(source.read(LENGTH_BYTES), "big")
    if length > MAX_EVENT_BYTES:
        raise ObjectError(f"an event has {length} bytes: it is not in protobuf")
    if length <= MAX_OBJECT_BYTES:
        return source.read(length), length
    head = source.read(HEAD_BYTES)
    source.skip(length - HEAD_BYTES)
    return head, length


def _parse_event(kind: str, data: bytes, length: int, action: str) -> WatchEvent:
    kind_of_event = _decode(data, *_find(data, 0, length, EVENT_TYPE))
    envelope = _find(data, *_find(data, 0, length, EVENT_OBJECT), EXTENSION_RAW)
    if kind_of_event == "ERROR":
        raise build_api_error(action, _read_status(data, *_unwrap(data, *envelope, STATUS_TYPE)))
    return WatchEvent(kind_of_event, read_object(kind, data, *_unwrap(data, *envelope, METADATA_TYPE)))


def _read_status(data: bytes, start: int, end: int) -> Status:
    code, message, reason = (_find(data, start, end, number) for number in (STATUS_CODE, STATUS_MESSAGE, STATUS_REASON))
    return Status(read_varint(data, code[0])[0], _decode_beginning(data, *reason), _decode_beginning(data, *message))


def _decode_beginning(data: bytes, start: int, end: int) -> str:
    longest = MAX_STATUS_CHARACTERS * 4  # bytes, in UTF-8
    return _decode(data, start, min(end, start + longest))[:MAX_STATUS_CHARACTERS]


def _unwrap(data: bytes, start: int, end: int, expected: tuple[str, str]) -> tuple[int, int]:
    """Where the object in an envelope starts and ends; raise ObjectError if it is of another type."""
    if data[start : start + len(MAGIC)] != MAGIC:
        raise ObjectError("it is not in protobuf")
    start += len(MAGIC)
    _check_type(data, *_find(data, start, end, TYPE), expected)
    return _find(data, start, end, RAW)


def _check_type(data: bytes, start: int, end: int, expected: tuple[str, str]) -> None:
    found = {number: _decode(data, at, until) for number, at, until in read_fields(data, start, end)}
    if (found.get(API_VERSION), found.get(KIND)) != expected:
        raise ObjectError(f"it is a {found.get(KIND)} of {found.get(API_VERSION)}, not a {expected[1]}")


def _find(data: bytes, start: int, end: int, number: int) -> tuple[int, int]:
    """Where the value of a field starts and ends."""
    for found, value_start, value_end in read_fields(data, start, end):
        if found == number:
            return value_start, value_end
    raise ObjectError(f"a message has no field {number}")


def _decode(data: bytes, start: int, end: int) -> str:
    return data[start:end].decode(errors="replace")
