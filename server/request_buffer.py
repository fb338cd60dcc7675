"""Where one HTTP/1 request ends in what a client has sent so far: pure, and no judge of what is in it.

gunicorn's parser judges. Where this module is in doubt it hands over what it has, and the parser refuses that.
https://www.rfc-editor.org/rfc/rfc9112#section-6
"""

import re

HEAD_BYTES = 16 * 1024
"""The longest head; no AWS SDK and no API server sends a quarter of it."""

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_CONTINUE = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)
_CHUNK = re.compile(rb"([0-9a-f]{1,8})(?:[; \t][^\r\n]*)?\r\n", re.IGNORECASE)
_TRAILERS = re.compile(rb"(?:[^\r\n]+\r\n)*\r\n")


class TooLong(Exception):  # noqa: N818 - named for what is wrong with the request
    """More than any real request needs; `status` is what HTTP calls it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class RequestBuffer:
    """What one client has sent and nobody has answered yet."""

    def __init__(self, body_bytes: int) -> None:
        self._data = bytearray()
        self._body_bytes = body_bytes
        self._searched = 0
        self._head: bytes | None = None

    def __len__(self) -> int:
        return len(self._data)

    def add(self, data: bytes) -> None:
        """Put in what was received."""
        self._data += data

    def take_request(self) -> bytes | None:
        """Take out the first request if it is whole; raise TooLong if it never will be."""
        end = self._find_end()
        if end is None:
            return None
        request = bytes(self._data[:end])
        del self._data[:end]
        self._searched, self._head = 0, None
        return request

    def expects_continue(self) -> bool:
        """Whether the client holds its body back until it is told to go on. Forgotten once asked."""
        if self._head is None or not _CONTINUE.search(self._head):
            return False
        self._head = _CONTINUE.sub(b"\r\n", self._head)
        return True

    def _find_end(self) -> int | None:
        if self._head is None and not self._find_head():
            return None
        head = self._head or b""
        if _CHUNKED.search(head):
            end = find_end_of_chunks(self._data, self._body_start)
        else:
            length = _LENGTH.search(head)
            end = self._body_start + int(length[1]) if length else self._body_start
        if (end or len(self._data)) - self._body_start > self._body_bytes:
            raise TooLong(413)
        return end if end is not None and end <= len(self._data) else None

    def _find_head(self) -> bool:
        end = self._data.find(_END_OF_HEAD, self._searched)
        self._searched = max(0, len(self._data) - len(_END_OF_HEAD) + 1)
        if (len(self._data) if end < 0 else end) > HEAD_BYTES:
            raise TooLong(431)
        if end < 0:
            return False
        self._body_start = end + len(_END_OF_HEAD)
        self._head = bytes(self._data[: self._body_start])
        return True


def find_end_of_chunks(data: bytes | bytearray, start: int) -> int | None:
    """Where a chunked body that begins at `start` ends; None while it goes on; the end of all where it is malformed."""
    while start < len(data):
        chunk = _CHUNK.match(data, start)
        if chunk is None:
            return len(data) if b"\r\n" in data[start:] else None
        size = int(chunk[1], 16)
        if size == 0:
            trailers = _TRAILERS.match(data, chunk.end())
            return trailers.end() if trailers else None
        start = chunk.end() + size + len(b"\r\n")
    return None
