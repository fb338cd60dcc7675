"""One client's socket, never waited for: what came in, what still has to go out, and until when it may take."""

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
"""How long a client may take to send one whole request, a TLS handshake included."""

SEND_SECONDS = 5.0
"""How long a client may take to read its answer."""

LINGERING_CLOSE_SECONDS = 1.0
"""How long a client that was refused unread may go on sending, so that it sees the refusal and not a reset."""

READ_BYTES = 64 * 1024

_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@dataclass(frozen=True)
class Service:
    """What is behind a listener."""

    app: "WSGIApplication"
    body_bytes: int
    """The longest body of a request. Each connection may hold one in memory."""

    tls: Callable[[], ssl.SSLContext] | None = None
    """Asked for each connection, so that a renewed certificate is used from the next handshake on."""


@dataclass(eq=False)
class Connection:
    """A client."""

    socket: socket.socket
    client: tuple[str, int]
    server: tuple[str, int]
    service: Service
    deadline: float = field(default_factory=lambda: time.monotonic() + REQUEST_SECONDS)
    """When it is closed, by the monotonic clock."""

    inbox: RequestBuffer = field(init=False)
    outbox: bytes = b""
    is_busy: bool = False
    """A thread answers its request: the loop leaves it alone."""

    is_closing: bool = False
    """No more requests: it is closed once all is sent."""

    has_ended: bool = False
    """The client sends no more."""

    _is_shaking_hands: bool = False

    def __post_init__(self) -> None:
        self.inbox = RequestBuffer(self.service.body_bytes)
        self.socket.settimeout(0)
        # An answer leaves in one piece. Held back until what TLS sent before is acknowledged, the first one of each
        # connection would be 40 ms late.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.service.tls:
            self.socket = self.service.tls().wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
            self._is_shaking_hands = True

    @property
    def is_idle(self) -> bool:
        """Whether it is between two requests, or before the first."""
        return not (self.is_busy or self.is_closing or self.outbox or len(self.inbox))

    def receive(self) -> None:
        """Take in what is there; raise OSError if the connection is of no use any more."""
        if self.is_closing:
            self._receive()  # and forget it: closing with something unread would cut off the answer under way
            return
        was_empty = not len(self.inbox)
        if piece := self._receive():
            self.inbox.add(piece)
        if was_empty and piece:
            self.deadline = time.monotonic() + REQUEST_SECONDS

    def send(self, data: bytes = b"") -> None:
        """Send as much as the client takes, and keep the rest; raise OSError if the connection is of no use."""
        self.outbox += data
        try:
            while self.outbox:
                self.outbox = self.outbox[self.socket.send(self.outbox) :]
        except _NOT_NOW:
            return

    def start_answer(self) -> None:
        """A thread has it now, for as long as it takes."""
        self.is_busy = True
        self.deadline = math.inf

    def end_answer(self, keepalive_seconds: float, *, keeps_alive: bool) -> None:
        """The answer is on its way: from here on the client is waited for in another way."""
        self.is_busy = False
        self.is_closing = not keeps_alive
        if self.outbox:
            wait = SEND_SECONDS
        elif self.is_closing:
            wait = LINGERING_CLOSE_SECONDS
        else:
            wait = REQUEST_SECONDS if len(self.inbox) else keepalive_seconds
        self.deadline = time.monotonic() + wait

    def can_close(self) -> bool:
        """Whether it may be closed now that all is sent. A client that still sends is told that nobody reads it."""
        if self.has_ended or not len(self.inbox):
            return True
        self.socket.shutdown(socket.SHUT_WR)
        return False

    def close(self) -> None:
        """Close without a word."""
        self.socket.close()

    def _receive(self) -> bytes:
        try:
            if self._is_shaking_hands:
                self.socket.do_handshake()  # type: ignore[attr-defined] # an SSLSocket by then
                self._is_shaking_hands = False
            pieces = [self.socket.recv(READ_BYTES)]
            # What TLS has decrypted is in its own buffer, where a selector does not see it.
            while isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
                pieces.append(self.socket.recv(READ_BYTES))
        except _NOT_NOW:
            return b""
        data = b"".join(pieces)
        self.has_ended = not data
        return data
