"""Connections to the API server with deadlines: urllib3's timeouts are for each read of the socket, without a sum."""

import io
import socket
import time
from http.client import HTTPResponse
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from injector.deadlines import API_CONNECT_SECONDS
from injector.k8s.resolver import Resolver, look_up
from server.first_connection import connect_first

SHORTEST = 0.001
"""Seconds of a wait whose time is over: zero would mean not to wait, and other errors."""

MAX_LINE_BYTES = 16 * 1024
"""Of the status, a header, or the length of a chunk. http.client allows 100 headers."""

RESOLVER = Resolver(look_up)


class _DeadlineReader(io.RawIOBase):
    """A socket's file whose reads end at one deadline, however many there are."""

    def __init__(self, raw: Any, sock: Any, end: float | None) -> None:
        self._raw = raw
        self._sock = sock
        self._end = end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._end is not None:
            left = self._end - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)  # type: ignore[no-any-return] # a socket's file

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Buffer(io.BufferedReader):
    """Refuses lines that are too long, and a chunk of a negative length.

    http.client would read -1 as everything up to the end, and 100 headers of 64 KiB for each thread.
    """

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(MAX_LINE_BYTES + 1 if size is None or size < 0 else min(size, MAX_LINE_BYTES + 1))
        if len(line) > MAX_LINE_BYTES:
            raise OSError(f"a line before the body has more than {MAX_LINE_BYTES >> 10} KiB")
        return line

    def read(self, size: int | None = None, /) -> bytes:
        if size is not None and size < 0:
            raise OSError("a chunk has a negative length")
        return super().read(size)


class _Deadlines(HTTPConnection):
    """Its timeout is for everything until it is set again.

    urllib3 sets it twice: before it connects and sends the request, and before it reads the answer.
    """

    _end: float | None = None

    @property
    def timeout(self) -> float | None:
        """What is left of it."""
        return None if self._end is None else max(SHORTEST, self._end - time.monotonic())

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    def send(self, data: Any) -> None:
        """Send in what is left of the time: the socket's own timeout can be that of an earlier request."""
        if self.sock is not None:
            self.sock.settimeout(self.timeout)
        super().send(data)

    def response_class(self, sock: Any, *arguments: Any, **options: Any) -> HTTPResponse:  # type: ignore[override] # a class there
        """Open an answer, of a proxy too."""
        response: Any = HTTPResponse(sock, *arguments, **options)
        response.fp = _Buffer(_DeadlineReader(response.fp.detach(), sock, self._end))
        return response  # type: ignore[no-any-return] # its class is above

    def _new_conn(self) -> socket.socket:
        limit = self.timeout or API_CONNECT_SECONDS
        try:
            addresses = RESOLVER.resolve(self._dns_host, self.port, limit)
            sock = connect_first(addresses, self.timeout or SHORTEST, self.socket_options or ())
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            message = f"Connection to {self.host} timed out. (connect timeout={limit:.1f})"
            raise ConnectTimeoutError(self, message) from error
        except OSError as error:
            raise NewConnectionError(self, f"Failed to establish a new connection: {error}") from error
        sock.settimeout(self.timeout)  # for the TLS handshake
        return sock


class _HttpConnection(_Deadlines):
    pass


class _HttpsConnection(_Deadlines, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


def set_deadlines(manager: PoolManager) -> None:
    """Let all connections of a pool have deadlines, direct ones and those through an HTTP proxy."""
    manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
