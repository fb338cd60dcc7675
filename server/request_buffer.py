"""Finds the end of one HTTP/1 request in what a client has sent so far.

gunicorn's parser validates the request. For invalid input this module passes on what it has, and the parser rejects it.
https://www.rfc-editor.org/rfc/rfc9112#section-6
"""

import re

MAX_HEAD_BYTES = 16 * 1024
"""AWS SDKs and API servers send less than a quarter of it."""

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_CONTINUE = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)
_CHUNK = re.compile(rb"([0-9a-f]{1,8})(?:[; \t][^\r\n]*)?\r\n", re.IGNORECASE)
_TRAILERS = re.compile(rb"(?:[^\r\n]+\r\n)*\r\n")


class TooLargeError(Exception):
    """The head or the body is too large; `status` is the HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class RequestBuffer:
    """Data of one client that is not yet part of a handled request."""

    def __init__(self, max_body_bytes: int) -> None:
        self._data = bytearray()
        self._max_body_bytes = max_body_bytes
        self._searched = 0
        self._head: bytes | None = None

    def __len__(self) -> int:
        return len(self._data)

    def add(self, data: bytes) -> None:
        """Append received data."""
        self._data += data

    def take_request(self) -> bytes | None:
        """Remove and return the first request if it is complete; raise TooLargeError if it is too large."""
        end = self._find_end()
        if end is None:
            return None
        request = bytes(self._data[:end])
        del self._data[:end]
        self._searched, self._head = 0, None
        return request

    def expects_continue(self) -> bool:
        """Whether the client waits for 100 Continue. True only once per request."""
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
        if (end or len(self._data)) - self._body_start > self._max_body_bytes:
            raise TooLargeError(413)
        return end if end is not None and end <= len(self._data) else None

    def _find_head(self) -> bool:
        end = self._data.find(_END_OF_HEAD, self._searched)
        self._searched = max(0, len(self._data) - len(_END_OF_HEAD) + 1)
        if (len(self._data) if end < 0 else end) > MAX_HEAD_BYTES:
            raise TooLargeError(431)
        if end < 0:
            return False
        self._body_start = end + len(_END_OF_HEAD)
        self._head = bytes(self._data[: self._body_start])
        return True


def find_end_of_chunks(data: bytes | bytearray, start: int) -> int | None:
    """Return where a chunked body ends; None if it is incomplete; the end of the data if it is malformed."""
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
