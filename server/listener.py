"""A listening socket, what it serves, and its open connections."""

import math
import resource
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from server.descriptors import EXHAUSTED
from server.messages import Address, Handler

if TYPE_CHECKING:
    import ssl

    from server.connection import Connection

RESERVED_FILES = 64
"""File descriptors for other uses than clients: listeners, child processes, the app's files."""


class NoCertificateError(Exception):
    """A TLS listener has no certificate to serve, or cannot load it."""


class Service(NamedTuple):
    """What a listener serves."""

    handler: Handler
    max_body_bytes: int
    max_connections: int = 512
    """With more, the connection that has waited longest is closed for a new one."""

    find_destination: Callable[[socket.socket], Address | None] | None = None
    """Called once for each connection: returns the address that the client connected to, before a redirect.

    Without it, or if it returns None, that is the listener's own address.
    """

    tls: Callable[[], "ssl.SSLContext"] | None = None
    """Called for each connection, so that a renewed certificate is used from the next handshake on.

    Only the result is quoted: Python compiles an annotation of a NamedTuple that is quoted as a whole, which loads
    0.2 MiB.
    """


class Listener:
    """Accepts connections up to a limit."""

    def __init__(self, listening: socket.socket, service: Service) -> None:
        listening.settimeout(0)
        # Inherited by accepted sockets. With Nagle's algorithm the first response of each TLS connection would wait
        # 40 ms, until the client acknowledges the end of the handshake.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = listening
        self.service = service
        self.address: Address = listening.getsockname()[:2]
        self.connections: dict[Connection, None] = {}
        """The connection that has waited longest comes first."""

        self.is_paused = False
        """The process has no descriptor or memory for another connection. The loop tries again a second later."""

        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVED_FILES
        self._max_connections = max(1, min(service.max_connections, files))

    @property
    def is_full(self) -> bool:
        """Whether a connection must be closed before the next one is accepted."""
        return len(self.connections) >= self._max_connections

    @property
    def is_busy(self) -> bool:
        """Whether threads handle all of its connections, so that none can be closed for another one."""
        return all(connection.is_busy for connection in self.connections)

    def accept(self) -> tuple[socket.socket, Address] | None:
        """Accept a client; None if none waits. Raise OSError if the process cannot open another connection."""
        try:
            accepted, address = self.socket.accept()
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise
            return None  # another process was faster, or the client has disconnected
        return accepted, address[:2]

    def find_oldest(self, begun_before: float = math.inf) -> "Connection | None":
        """The connection that has waited longest and is not handled by a thread: the least likely to send a request.

        A handshake or request that has begun counts only if it began before this time.
        """
        spared = None
        for one in self.connections:
            if one.is_busy or (one.is_begun and one.waits_since >= begun_before):
                continue
            if not one.spare():
                return one
            spared = spared or one
        return spared

    def move_to_end(self, connection: "Connection") -> None:
        """Note that it was used."""
        del self.connections[connection]
        self.connections[connection] = None
