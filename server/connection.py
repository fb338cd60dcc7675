"""One client's non-blocking socket, with its receive and send buffers and its deadline."""

import math
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from server.request_buffer import RequestBuffer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

REQUEST_SECONDS = 5.0
"""Deadline for one complete request, including the TLS handshake."""

SEND_SECONDS = 5.0
"""Deadline for the client to read a response."""

LINGERING_CLOSE_SECONDS = 1.0
"""How long to keep reading after an early error response, so that the client sees it instead of a reset."""

READ_BYTES = 64 * 1024

_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@dataclass(frozen=True)
class Service:
    """The app behind a listener."""

    app: "WSGIApplication"
    max_body_bytes: int
    """Each connection may buffer one body of this size."""

    tls: Callable[[], ssl.SSLContext] | None = None
    """Called for each connection, so that a renewed certificate is used from the next handshake on."""


@dataclass(eq=False)
class Connection:
    """A client's connection."""

    socket: socket.socket
    client: tuple[str, int]
    server: tuple[str, int]
    service: Service
    deadline: float = field(default_factory=lambda: time.monotonic() + REQUEST_SECONDS)
    """The connection is closed at this time (monotonic clock)."""

    received: RequestBuffer = field(init=False)
    unsent: bytes = b""
    is_busy: bool = False
    """A thread handles its request: the loop ignores the connection."""

    is_closing: bool = False
    """No further requests are read: it is closed when everything is sent."""

    is_eof: bool = False
    """The client has closed its sending side."""

    _is_handshaking: bool = False

    def __post_init__(self) -> None:
        self.received = RequestBuffer(self.service.max_body_bytes)
        self.socket.settimeout(0)
        # With Nagle's algorithm the first response of each TLS connection would wait 40 ms, until the client
        # acknowledges the end of the handshake.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.service.tls:
            self.socket = self.service.tls().wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
            self._is_handshaking = True

    @property
    def is_idle(self) -> bool:
        """Whether it is between two requests or before the first."""
        return not (self.is_busy or self.is_closing or self.unsent or len(self.received))

    def receive(self) -> None:
        """Read what has arrived; raise OSError if the connection is broken."""
        if self.is_closing:
            self._receive()  # discarded: closing with unread data would reset the connection and lose the response
            return
        was_empty = not len(self.received)
        if data := self._receive():
            self.received.add(data)
        if was_empty and data:
            self.deadline = time.monotonic() + REQUEST_SECONDS

    def send(self, data: bytes = b"") -> None:
        """Send as much as possible and buffer the rest; raise OSError if the connection is broken."""
        self.unsent += data
        try:
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except _WOULD_BLOCK:
            return

    def start_response(self) -> None:
        """Mark it as handled by a thread, without a deadline."""
        self.is_busy = True
        self.deadline = math.inf

    def end_response(self, keepalive_seconds: float, *, keeps_alive: bool) -> None:
        """Set the deadline for what comes after a response: sending it, closing, or the next request."""
        self.is_busy = False
        self.is_closing = not keeps_alive
        if self.unsent:
            wait = SEND_SECONDS
        elif self.is_closing:
            wait = LINGERING_CLOSE_SECONDS
        else:
            wait = REQUEST_SECONDS if len(self.received) else keepalive_seconds
        self.deadline = time.monotonic() + wait

    def can_close(self) -> bool:
        """Whether it can be closed. If the client has sent more data, close only our sending side and keep reading."""
        if self.is_eof or not len(self.received):
            return True
        self.socket.shutdown(socket.SHUT_WR)
        return False

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def _receive(self) -> bytes:
        try:
            if self._is_handshaking:
                self.socket.do_handshake()  # type: ignore[attr-defined] # an SSLSocket by then
                self._is_handshaking = False
            chunks = [self.socket.recv(READ_BYTES)]
            # Decrypted data may be in TLS's own buffer, which a selector does not see.
            while isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
                chunks.append(self.socket.recv(READ_BYTES))
        except _WOULD_BLOCK:
            return b""
        data = b"".join(chunks)
        self.is_eof = not data
        return data
