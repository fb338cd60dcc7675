"""Protocol Buffers' wire format, as much of it as the metadata of Kubernetes objects needs.

A field that nobody reads is skipped by its length, without being looked at: in JSON it would have to be parsed, and
`<` alone takes six bytes. https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator

from injector.errors import ObjectError

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
MAX_VARINT_BYTES = 10
CONTINUES = 0x80
"""The bit of a varint's byte that says that another one follows."""

Field = tuple[int, int, int]
"""The number of a field, and where its value starts and ends: a string, a message, or a varint."""


class ByteSource:
    """Reads exact numbers of bytes from chunks, and keeps no more than one chunk."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = b""
        self._at = 0
        self.position = 0
        """How many bytes were read or skipped."""

    def read(self, size: int) -> bytes:
        """Exactly so many bytes; raise EOFError if there are fewer."""
        return b"".join(self._take(size))

    def skip(self, size: int) -> None:
        """Drop so many bytes; raise EOFError if there are fewer."""
        for _ in self._take(size):
            pass

    def read_varint(self) -> int:
        """A number; raise EOFError at the end."""
        encoded = self.read(1)
        while encoded[-1] & CONTINUES:
            if len(encoded) == MAX_VARINT_BYTES:
                raise ObjectError("a number is too long")
            encoded += self.read(1)
        return read_varint(encoded, 0)[0]

    def read_field(self) -> tuple[int, int]:
        """The number and the length of the next field that has a length; others are skipped."""
        while True:
            tag = self.read_varint()
            match tag & 7:
                case 2:  # LENGTH
                    return tag >> 3, self.read_varint()
                case 0:  # VARINT
                    self.read_varint()
                case wire_type:
                    self.skip(fixed_size(wire_type))

    def _take(self, size: int) -> Iterator[bytes]:
        while size:
            if self._at == len(self._chunk):
                self._chunk, self._at = next(self._chunks, b""), 0
                if not self._chunk:
                    raise EOFError
            piece = self._chunk[self._at : self._at + size]
            self._at += len(piece)
            self.position += len(piece)
            size -= len(piece)
            yield piece


class CutOffError(ObjectError):
    """The data ends before the message does."""


def read_fields(data: bytes, start: int, end: int) -> Iterator[Field]:
    """The fields of the message between two positions, except for those of a fixed size.

    Raises ObjectError; CutOffError where the data ends before a field begins. The last value before can be cut off.
    """
    try:
        while start < end:
            tag, start = read_varint(data, start)
            match tag & 7:
                case 2:  # LENGTH
                    length, start = read_varint(data, start)
                    value, start = start, start + length
                    if start > end:
                        raise ObjectError("a field is longer than its message")
                    yield tag >> 3, value, start
                case 0:  # VARINT
                    value, (_, start) = start, read_varint(data, start)
                    yield tag >> 3, value, start
                case wire_type:
                    start += fixed_size(wire_type)
    except IndexError as error:
        raise CutOffError("a message is cut off") from error


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A number and the position after it."""
    value = data[at]
    if value < CONTINUES:  # nearly all: tags and short lengths
        return value, at + 1
    value &= 0x7F
    for count in range(1, MAX_VARINT_BYTES):
        byte = data[at + count]
        value |= (byte & 0x7F) << 7 * count
        if byte < CONTINUES:
            return value, at + count + 1
    raise ObjectError("a number is too long")


def fixed_size(wire_type: int) -> int:
    """The bytes of a value without a length."""
    sizes = {FIXED64: 8, FIXED32: 4}
    if wire_type not in sizes:
        raise ObjectError(f"a field has the wire type {wire_type}, which Kubernetes does not use")
    return sizes[wire_type]
