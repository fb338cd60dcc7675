"""An HTTP client for protocol tests: sends raw bytes and counts received TCP segments."""

import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

Headers = Iterable[tuple[str, str]]

METADATA = "169.254.169.254"
TIMEOUT_SECONDS = 30
"""A response that takes longer is a hang. It is long because tests run on busy machines."""

SEGMENTS_IN = 152
"""Offset of tcpi_data_segs_in in Linux's struct tcp_info: the number of received segments with data."""


@dataclass(frozen=True)
class Answer:
    """A parsed response."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def find(self, name: str) -> str | None:
        """The value of a header, or None. Fails if the header occurs twice."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) < 2, f"{name} occurs {len(values)} times"
        return values[0] if values else None


class Wire:
    """An open connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._received = b""

    def send(self, data: bytes) -> None:
        """Send raw bytes."""
        self.socket.sendall(data)

    def read_answer(self, method: str = "GET") -> Answer:
        """Read the response to a request of this method; raise EOFError if the connection ends early."""
        while (taken := take_answer(self._received, method)) is None:
            piece = self.socket.recv(65536)
            if not piece:
                raise EOFError(f"the connection ended after {self._received!r}")
            self._received += piece
        answer, self._received = taken
        return answer

    def read_rest(self) -> bytes:
        """Read until the server closes or resets the connection."""
        try:
            while piece := self.socket.recv(65536):
                self._received += piece
        except ConnectionResetError:
            pass
        return self._received

    def count_segments(self) -> int:
        """The number of segments with data received so far."""
        info = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        segments: int = struct.unpack_from("I", info, SEGMENTS_IN)[0]
        return segments


@contextmanager
def connect(port: int, host: str = "127.0.0.1") -> Iterator[Wire]:
    """Open a connection and close it at the end of the block."""
    with socket.create_connection((host, port), timeout=TIMEOUT_SECONDS) as connection:
        yield Wire(connection)


def ask(port: int, request: bytes, host: str = "127.0.0.1") -> Answer:
    """Send a request on a new connection; the server can keep it open."""
    with connect(port, host) as wire:
        wire.send(request)
        return wire.read_answer(request.partition(b" ")[0].decode())


def build_request(
    target: str, method: str = "GET", headers: Headers = (), host: str | None = METADATA, version: str = "1.1"
) -> bytes:
    """Build a request without a body. Its parts are not validated."""
    named = [*([("Host", host)] if host is not None else []), *headers]
    lines = [f"{method} {target} HTTP/{version}", *(f"{name}: {value}" for name, value in named)]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


def take_answer(received: bytes, method: str) -> tuple[Answer, bytes] | None:
    """Split off the first response if it is complete. It must have a Content-Length, which old clients need."""
    head, end, rest = received.partition(b"\r\n\r\n")
    if not end:
        return None
    status_line, *lines = head.decode("latin-1").split("\r\n")
    status = int(status_line.split(" ")[1])
    headers = tuple((name, value) for name, _, value in (line.partition(": ") for line in lines))
    answer = Answer(status, headers, b"")
    has_body = method != "HEAD" and status >= 200
    length = int(answer.find("Content-Length") or "-1") if has_body else 0
    assert length >= 0, f"a response without a Content-Length: {head!r}"
    if len(rest) < length:
        return None
    return Answer(status, headers, rest[:length]), rest[length:]


def take_answers(received: bytes) -> Iterator[Answer]:
    """Split the received bytes into responses (not to HEAD); raise AssertionError if one is incomplete."""
    while received:
        taken = take_answer(received, "GET")
        assert taken is not None, f"an incomplete response: {received!r}"
        answer, received = taken
        yield answer
