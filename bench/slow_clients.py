"""Slow and hostile clients: `python -m bench.slow_clients NAME CONNECTIONS PORT [tls]`, until SIGTERM.

Each keeps this many connections to loopback; most reopen each connection that the server closes.
"""

import resource
import selectors
import signal
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from subprocess import PIPE, Popen

from testing.sidecars import CREDENTIALS_PATH

ADDRESS = "127.0.0.1"
HEAD = f"GET {CREDENTIALS_PATH} HTTP/1.1\r\nHost: 169.254.170.2\r\n".encode()
PUT = HEAD.replace(b"GET", b"PUT")
LONGEST_SECONDS = 120


@dataclass(frozen=True)
class Attack:
    """What a connection sends first, and then repeatedly."""

    first: bytes
    again: bytes = b""
    pause_seconds: float = 0.2
    closes: bool = False
    """Whether the client closes after it has sent `first`."""

    reopens: bool = True
    """Whether a connection that the server closed is replaced by a new one, or kept half-closed."""


ATTACKS = {
    "silent": Attack(b""),
    "partial head": Attack(HEAD),
    "drip": Attack(HEAD, b"x"),
    "reconnecting": Attack(HEAD, closes=True, pause_seconds=0.05),
    "lingering": Attack(HEAD + b"Connection: close\r\n\r\n", reopens=False),
    "unread body": Attack(PUT + b"Content-Length: 1000\r\n\r\n", b"x" * 10),
    "large body": Attack(PUT + b"Content-Length: 8388608\r\n\r\n", b"x" * 16384, pause_seconds=0.01),
    "one-byte chunks": Attack(PUT + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 20, pause_seconds=0.05),
    "pipelining": Attack(HEAD + b"\r\n", (HEAD + b"\r\n") * 20, pause_seconds=0.05),
}
"""Sends nothing; half a request; a header byte by byte; half a request, then closes; never closes after the response;
a body that never ends; a large one; a chunk for each byte; requests without waiting for responses."""


WAITS = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@contextmanager
def attacking(name: str, connections: int, port: int, *, tls: bool = False) -> Iterator[None]:
    """Attack from another process until the block ends."""
    argv = [sys.executable, "-m", "bench.slow_clients", name, str(connections), str(port), *(["tls"] if tls else [])]
    with Popen(argv, stdout=PIPE) as process:
        try:
            if process.stdout is None or process.stdout.readline() != b"attacking\n":
                raise SystemExit(f"the attack {name} did not start")
            yield
        finally:
            process.terminate()


class Attackers:
    """Connections of one kind."""

    def __init__(self, kind: Attack, port: int, *, tls: bool) -> None:
        self._kind = kind
        self._port = port
        self._context = ssl._create_unverified_context() if tls else None  # noqa: S323, SLF001 - an attacker needs no CA
        self._selector = selectors.DefaultSelector()
        self._held: set[socket.socket] = set()

    def grow(self, connections: int) -> None:
        """Open connections up to this number."""
        for _ in range(connections - len(self._held)):
            self._open()

    def act(self) -> None:
        """Handle connections that the server closed, and send `again` on the others."""
        for key, _ in self._selector.select(self._kind.pause_seconds):
            self._read(key.fileobj)  # type: ignore[arg-type] # only sockets are registered
        for connection in list(self._held):
            try:
                connection.send(self._kind.again)
            except WAITS:
                continue
            except OSError:
                self._lose(connection)
            if self._kind.closes and connection in self._held:
                self._lose(connection)

    def is_waiting(self) -> bool:
        """Whether the server has not yet closed all of them."""
        return bool(self._selector.get_map())

    def _open(self) -> None:
        try:
            connection = socket.create_connection((ADDRESS, self._port), timeout=5)
            if self._context:
                connection = self._context.wrap_socket(connection)
        except OSError:  # the server's backlog is full, as an attacker wants: it retries
            return
        connection.settimeout(0)
        with suppress(OSError):
            connection.send(self._kind.first)
        self._selector.register(connection, selectors.EVENT_READ)
        self._held.add(connection)

    def _read(self, connection: socket.socket) -> None:
        try:
            if connection.recv(65536):
                return
        except WAITS:
            return
        except OSError:
            pass
        self._lose(connection)

    def _lose(self, connection: socket.socket) -> None:
        if connection in self._selector.get_map():
            self._selector.unregister(connection)
        if self._kind.reopens:
            self._held.discard(connection)
            connection.close()


def attack(kind: Attack, connections: int, port: int, *, tls: bool) -> None:
    """Keep the connections open until SIGTERM, at most LONGEST_SECONDS."""
    end = time.monotonic() + LONGEST_SECONDS
    attackers = Attackers(kind, port, tls=tls)
    attackers.grow(connections)
    while not kind.reopens and attackers.is_waiting():
        attackers.act()
    sys.stdout.write("attacking\n")
    sys.stdout.flush()
    while time.monotonic() < end:
        attackers.act()
        attackers.grow(connections)


def main() -> None:
    """Attack until SIGTERM."""
    name, connections, port, *options = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    attack(ATTACKS[name], int(connections), int(port), tls="tls" in options)


if __name__ == "__main__":
    main()
