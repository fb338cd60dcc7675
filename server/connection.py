"""One client's connection: its non-blocking socket, its parser, what is not yet sent, and its deadline."""

import math
import select
import socket
from collections.abc import Callable
from selectors import EVENT_READ, EVENT_WRITE
from typing import TYPE_CHECKING, Protocol

from server.deadlines import LINGERING_CLOSE_SECONDS, REQUEST_SECONDS, SEND_SECONDS
from server.listener import Listener, NoCertificateError
from server.messages import Address, Request
from server.parser import Endpoints, RequestParser

if TYPE_CHECKING:
    import ssl

READ_BYTES = 16 * 1024
"""Read at once from one client, then it is the next client's turn.

As much as a TLS record holds, so that no decrypted data stays behind, which a selector would not see.
https://www.rfc-editor.org/rfc/rfc8446#section-5.1
"""

NOTHING = memoryview(b"")


class Socket(Protocol):
    """The methods of a non-blocking socket; a TLS connection has them, too."""

    def recv(self, size: int, /) -> bytes:
        """Read; raise BlockingIOError if there is nothing yet. Empty at the end."""

    def send(self, data: memoryview, /) -> int:
        """Send a part; raise BlockingIOError if nothing can be sent yet."""

    def fileno(self) -> int:
        """The file descriptor."""

    def shutdown(self, how: int, /) -> None:
        """Close one side of the connection."""

    def close(self) -> None:
        """Close the socket."""


class Connection:
    """A client's connection."""

    def __init__(self, accepted: socket.socket, client: Address, listener: Listener, now: float) -> None:
        accepted.settimeout(0)
        service = listener.service
        self.listener = listener
        self.socket: Socket = accepted
        self.is_tls = service.tls is not None
        if service.tls:
            from server.tls import TlsSocket  # noqa: PLC0415 - the sidecar has no TLS, and ssl takes 1.2 MiB

            self.socket = TlsSocket(accepted, _load_tls(service.tls))
        destination = service.find_destination(accepted) if service.find_destination else None
        endpoints = Endpoints(client, destination or listener.address, self.is_tls)
        self.parser = RequestParser(endpoints, service.max_body_bytes)
        self.waits_since = now
        """Since then the server waits for its client (monotonic clock)."""

        self.deadline = now + REQUEST_SECONDS
        """The connection is closed at this time."""

        self.interest = 0
        """The selector's events that it waits for; 0 while it is not registered."""

        self.request_bytes = 0
        """Of the request that a thread handles."""

        self.counted_bytes = 0
        """How many bytes of this connection are part of the loop's sum."""

        self.is_dropped = False
        self._is_spared = False

        self.is_busy = False
        """A thread handles its request: nothing is read."""

        self.is_closing = False
        """No further requests are read: it is closed when everything is sent."""

        self.is_eof = False
        """The client has closed its sending side."""

        self._has_surplus = False
        """The client has sent more after the last request that is answered."""

        self._unsent = NOTHING
        self._response_bytes = 0
        """Of the whole response: its beginning stays in memory until its end is sent."""

    @property
    def has_unsent(self) -> bool:
        """Whether a part of a response is not yet sent."""
        return bool(self._unsent)

    @property
    def buffered_bytes(self) -> int:
        """About how much memory its requests and responses take."""
        return self.parser.buffered_bytes + self.request_bytes + self._response_bytes

    @property
    def wanted_events(self) -> int:
        """The selector's events to wait for."""
        if self.is_busy:
            return 0
        if self.parser.has_work and not (self.is_closing or self._unsent):
            return 0  # the loop continues without an event; nothing is read ahead
        wants_write = self._unsent or (self.is_tls and self.socket.wants_write)  # type: ignore[attr-defined] # a TlsSocket
        return EVENT_WRITE if wants_write else EVENT_READ

    @property
    def is_idle(self) -> bool:
        """Whether it is between two requests or before the first."""
        return not (self.is_busy or self.is_closing or self._unsent or self.parser.is_begun)

    @property
    def is_begun(self) -> bool:
        """Whether its client is in the middle of the TLS handshake or of a request."""
        return self.parser.is_begun or (self.is_tls and self.socket.is_handshaking)  # type: ignore[attr-defined] # a TlsSocket

    def spare(self) -> bool:
        """Whether not to close it yet: its next request has arrived, unread. True once for each request.

        The client could not know whether it may send such a request again. One that has closed is spared as well.
        """
        if self._is_spared or not self.is_idle:
            return False
        poll = select.poll()
        poll.register(self.socket.fileno(), select.POLLIN)
        self._is_spared = bool(poll.poll(0))
        return self._is_spared

    def take_request(self) -> tuple[Request, bool] | None:
        """Remove and return the oldest complete request, and whether the connection stays open after it."""
        before = self.parser.buffered_bytes
        taken = self.parser.take_request()
        self.request_bytes = before - self.parser.buffered_bytes
        return taken

    def receive(self, now: float) -> None:
        """Read what has arrived, once; raise OSError if the connection is broken."""
        try:
            data = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        self.is_eof = not data
        if self.is_eof or self.is_closing:
            return  # discarded, as in can_close
        was_begun = self.parser.is_begun
        self.parser.feed(data)
        if self.parser.is_begun and not was_begun:
            self.waits_since, self.deadline = now, now + REQUEST_SECONDS

    def send(self, data: bytes = b"") -> None:
        """Send as much as possible and keep the rest; raise OSError if the connection is broken."""
        if data:
            self._unsent = memoryview(bytes(self._unsent) + data) if self._unsent else memoryview(data)
            self._response_bytes = len(self._unsent)
        try:
            while self._unsent:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]
        except BlockingIOError:
            return
        self._unsent, self._response_bytes = NOTHING, 0  # an empty part of a response would keep the whole of it

    def start_thread(self) -> None:
        """Mark it as handled by a thread, without a deadline."""
        self.is_busy = True
        self.deadline = math.inf

    def end_response(self, now: float, keepalive_seconds: float, *, keeps_alive: bool) -> None:
        """Set the deadline for what comes after a response: sending it, closing, or the next request."""
        self.is_busy = self._is_spared = False
        self.request_bytes = 0
        self.is_closing = not keeps_alive
        if self._unsent:
            wait = SEND_SECONDS
        elif self.is_closing:
            wait = LINGERING_CLOSE_SECONDS
        else:
            wait = REQUEST_SECONDS if self.parser.is_begun else keepalive_seconds
        self.waits_since, self.deadline = now, now + wait

    def can_close(self) -> bool:
        """Whether it can be closed. If the client has sent more data, close only our sending side and keep reading.

        Closing with unread data would reset the connection, and the client could lose the response.
        """
        self._has_surplus |= self.parser.has_surplus or self.parser.error is not None or self._has_unread()
        if self.is_eof or not self._has_surplus:
            return True
        self.socket.shutdown(socket.SHUT_WR)
        return False

    def _has_unread(self) -> bool:
        try:
            data = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return False
        self.is_eof = not data
        return bool(data)

    def close(self) -> None:
        """Close the socket."""
        self.parser.close()
        self.socket.close()


def _load_tls(load: Callable[[], "ssl.SSLContext"]) -> "ssl.SSLContext":
    try:
        return load()
    except Exception as error:
        raise NoCertificateError(str(error)) from error
