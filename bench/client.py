"""A cheap HTTP client: sends prepared bytes and counts response bytes, on any number of connections in one loop."""

import selectors
import socket
import ssl
import time
from dataclasses import dataclass, field

_LENGTH = b"content-length: "


@dataclass(frozen=True)
class Target:
    """A server's address and the request to send to it."""

    address: tuple[str, int]
    request: bytes
    tls: ssl.SSLContext | None = None

    def connect(self) -> socket.socket:
        """Open a connection, including the TLS handshake."""
        connection = socket.create_connection(self.address, timeout=10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls is None:
            return connection
        return self.tls.wrap_socket(connection, server_hostname=self.address[0])


@dataclass
class _Exchange:
    """A request in flight."""

    connection: socket.socket
    began: float
    received: bytearray = field(default_factory=bytearray)

    def is_answered(self) -> bool:
        """Read what has arrived; return whether the response is complete. Exit if its status is not 200."""
        self.received += self.connection.recv(65536)
        while isinstance(self.connection, ssl.SSLSocket) and self.connection.pending():
            self.received += self.connection.recv(65536)
        head, found, body = bytes(self.received).partition(b"\r\n\r\n")
        if not found:
            return False
        if b" 200 " not in head[:20]:
            raise SystemExit(f"unexpected response: {head!r} {body!r}")
        length = head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0]
        return len(body) >= int(length)


def send_requests(target: Target, count: int, concurrency: int = 1, *, keeps_alive: bool = False) -> list[float]:
    """Send `count` requests, `concurrency` at a time; return the milliseconds that each took.

    With `keeps_alive`, connections are opened beforehand. Otherwise each request opens one, which counts.
    """
    durations: list[float] = []
    with selectors.DefaultSelector() as selector:
        pool = [_open_used(target) for _ in range(concurrency)] if keeps_alive else []
        for index in range(min(concurrency, count)):
            _start(selector, target, pool[index] if pool else None)
        started = min(concurrency, count)
        while len(durations) < count:
            for key, _ in selector.select(10):
                exchange: _Exchange = key.data
                if not exchange.is_answered():
                    continue
                durations.append((time.perf_counter() - exchange.began) * 1000)
                selector.unregister(exchange.connection)
                if not keeps_alive:
                    exchange.connection.close()
                if started < count:
                    started += 1
                    _start(selector, target, exchange.connection if keeps_alive else None)
        for connection in pool:
            connection.close()
    return durations


def _open_used(target: Target) -> socket.socket:
    """A connection that has served a request: gunicorn's threads block on new connections that have sent nothing."""
    exchange = _Exchange(target.connect(), 0)
    exchange.connection.sendall(target.request)
    while not exchange.is_answered():
        pass
    return exchange.connection


def _start(selector: selectors.BaseSelector, target: Target, kept: socket.socket | None) -> None:
    began = time.perf_counter()
    connection = kept or target.connect()
    connection.sendall(target.request)
    selector.register(connection, selectors.EVENT_READ, _Exchange(connection, began))
