"""One client of the fuzz test: what it sends, what it must receive, and the checks of what arrives."""

import socket
import ssl
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from testing.raw_http import Answer, take_answer
from tests.unit.server.hostile_handler import LARGE
from tests.unit.server.hostile_server import REQUEST_SECONDS

WAITS = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
SLOW_SECONDS = REQUEST_SECONDS / 2
"""Without progress for so long, the server may have closed the connection."""

MAX_PIPELINED = 20
"""Fewer than the server accepts before it closes a connection."""


class Expected(NamedTuple):
    """The response to a request."""

    request_id: str
    statuses: frozenset[int]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the server closes the connection after it."""
        return 500 in self.statuses or 400 in self.statuses


def build_body(request_id: str, size: int) -> bytes:
    """A body that only this request has."""
    return (request_id.encode() * (size // len(request_id) + 1))[:size]


def describe_difference(actual: bytes, expected: bytes) -> str:
    """Say where two bodies differ."""
    pairs = enumerate(zip(actual, expected, strict=False))
    start = next((position for position, (one, other) in pairs if one != other), min(len(actual), len(expected)))
    return f"{len(actual)} bytes instead of {len(expected)}; from {start} on: {actual[start:][:99]!r}"


@dataclass(eq=False)
class Client:
    """A connection that does not block."""

    socket: socket.socket
    is_tls: bool
    expected: deque[Expected] = field(default_factory=deque)
    outgoing: bytes = b""
    received: bytes = b""
    is_half_closed: bool = False
    is_ended: bool = False
    """The server has closed or reset the connection."""

    may_be_closed: bool = False
    """The server may close it without another response."""

    progress_at: float = field(default_factory=time.monotonic)
    retry_limit: int = 0
    """TLS must try again with the same data after it could not send."""

    @property
    def can_request(self) -> bool:
        """Whether another request would be answered."""
        return not (self.is_half_closed or self.is_ended or self.may_be_closed) and len(self.expected) < MAX_PIPELINED

    def request(self, data: bytes, expected: Expected) -> None:
        """Queue a request."""
        self.outgoing += data
        self.expected.append(expected)
        self.may_be_closed |= expected.closes

    def push(self, limit: int) -> None:
        """Send at most so many bytes of what is queued."""
        if self.is_half_closed:
            return
        self._note_time()
        limit = self.retry_limit or limit
        try:
            sent = self.socket.send(self.outgoing[:limit]) if self.outgoing else 0
        except WAITS:
            self.retry_limit = limit
            return
        except OSError:
            self.may_be_closed |= self.is_slow
            return  # what arrived before can still be read
        self.retry_limit = 0
        self._progress(sent)
        self.outgoing = self.outgoing[sent:]

    def pull(self, limit: int) -> None:
        """Read at most so many bytes, and check the responses that are complete."""
        self._note_time()
        try:
            data = self.socket.recv(limit)
        except WAITS:
            return
        except OSError:
            self.is_ended = True
            return
        self.is_ended = not data
        self._progress(len(data))
        self.received += data
        while taken := take_answer(self.received, "PUT"):
            answer, self.received = taken
            self._check(answer)

    def half_close(self) -> None:
        """Close the sending side. What is still queued is never sent."""
        self.is_half_closed = True
        self.may_be_closed |= bool(self.outgoing) or self.is_tls
        with suppress(OSError):
            socket.socket.shutdown(self.socket, socket.SHUT_WR)  # SSLSocket's own would also stop decrypting

    def finish(self, seconds: float) -> None:
        """Send and read everything; fail if a response is missing."""
        deadline = time.monotonic() + seconds
        while (self.expected or self.received) and not self.is_ended and time.monotonic() < deadline:
            self.push(65536)
            self.pull(65536)
            if self.outgoing or not self.received:
                time.sleep(0.001)
        if not self.may_be_closed and not self.has_large:
            assert not self.expected, f"no response to {self.expected[0]}; received {self.received[:200]!r}"
            assert not self.received, f"after the last response: {self.received[:200]!r}"

    @property
    def has_large(self) -> bool:
        """Whether it waits for a response that the server does not keep if too many clients do not read."""
        return any(len(expected.body) >= LARGE for expected in self.expected)

    @property
    def is_slow(self) -> bool:
        """Whether a deadline of the server may have passed."""
        return time.monotonic() - self.progress_at > SLOW_SECONDS

    def _note_time(self) -> None:
        self.may_be_closed |= self.is_slow

    def _progress(self, count: int) -> None:
        if count:
            self.progress_at = time.monotonic()

    def _check(self, answer: Answer) -> None:
        if answer.status == 100:
            return
        assert self.expected, f"a response without a request: {answer}"
        expected = self.expected.popleft()
        summary = answer.status, answer.find("X-Id"), answer.body[:200]
        assert answer.status in expected.statuses, f"{summary} for {expected}"
        if answer.status == 200:
            assert answer.find("X-Id") == expected.request_id, f"{summary} for {expected}"
            assert answer.body == expected.body, f"{summary}: {describe_difference(answer.body, expected.body)}"
        else:
            assert answer.find("X-Id") in {None, expected.request_id}, f"{summary} for {expected}"
        closes = (answer.find("Connection") or "").lower() == "close"
        assert closes == (expected.closes and answer.status != 429), f"Connection: {answer} for {expected}"
        if closes:
            self.expected.clear()
