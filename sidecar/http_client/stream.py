"""A TCP connection with one deadline for all its operations and a limit on what it receives."""

import socket
import time
from collections.abc import Callable
from typing import Protocol

from sidecar.http_client.errors import TooLargeError

PIECE_BYTES = 16 * 1024


class Stream(Protocol):
    """What carries bytes: a TCP connection, or TLS on top of another stream. Errors are OSErrors."""

    def send(self, data: bytes) -> None:
        """Send everything."""

    def receive(self) -> bytes:
        """Return the next bytes; empty at the end."""


class Deadline:
    """The end of the time for a whole request."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_at = clock() + seconds

    def remaining(self) -> float:
        """Seconds left, more than 0; raise TimeoutError when there are none."""
        seconds = self._ends_at - self._clock()
        if seconds <= 0:
            raise TimeoutError("timed out")
        return seconds


class SocketStream:
    """A connected socket."""

    def __init__(self, connected: socket.socket, deadline: Deadline, max_bytes: int) -> None:
        self._socket = connected
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._received = 0

    def send(self, data: bytes) -> None:
        """Send everything before the deadline."""
        view = memoryview(data)
        while view:
            self._socket.settimeout(self._deadline.remaining())
            view = view[self._socket.send(view) :]

    def receive(self) -> bytes:
        """Return the next bytes; empty at the end. Raise TooLargeError once the peer has sent too much."""
        self._socket.settimeout(self._deadline.remaining())
        data = self._socket.recv(PIECE_BYTES)
        self._received += len(data)
        if self._received > self._max_bytes:
            raise TooLargeError(f"more than {self._max_bytes} bytes arrived")
        return data
