"""Slow and hostile clients: `python -m bench.slow_clients NAME CONNECTIONS PORT`, until SIGTERM.

Each holds so many connections to the loopback address, and most open another one for each that the server closes.
"""

import resource
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from subprocess import PIPE, Popen

ADDRESS = "127.0.0.1"
HEAD = b"GET /v2/credentials HTTP/1.1\r\nHost: 169.254.170.2\r\n"
QUICK = "quick"
LONGEST_SECONDS = 120


@dataclass(frozen=True)
class Attack:
    """What a connection sends at first, and then again and again."""

    first: bytes
    again: bytes = b""
    pause_seconds: float = 0.2
    closes: bool = False
    """Whether it is the client that closes, after its first words."""

    reopens: bool = True
    """Whether what the server has closed is given up for a new connection, or kept as it is."""


ATTACKS = {
    "silent": Attack(b""),
    "partial head": Attack(HEAD),
    "drip": Attack(HEAD, b"x"),
    "reconnecting": Attack(HEAD, closes=True, pause_seconds=0.05),
    "lingering": Attack(HEAD + b"Connection: close\r\n\r\n", reopens=False),
    "unread body": Attack(HEAD.replace(b"GET", b"PUT") + b"Content-Length: 1000\r\n\r\n", b"x" * 10),
}
"""Nothing; half a request; half a request that grows; half a request and away; an answer that is taken by a client
that never closes; a body without an end."""


@contextmanager
def attacking(name: str, connections: int, port: int) -> Iterator[None]:
    """Attack from a process of its own for as long as the block lasts."""
    argv = [sys.executable, "-m", "bench.slow_clients", name, str(connections), str(port)]
    with Popen(argv, stdout=PIPE) as process:
        try:
            if process.stdout is None or process.stdout.readline() != b"attacking\n":
                raise SystemExit(f"the attack {name} did not begin")
            yield
        finally:
            process.terminate()


class Crowd:
    """So many connections of one kind."""

    def __init__(self, kind: Attack, port: int) -> None:
        self._kind = kind
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._held: set[socket.socket] = set()

    def grow(self, connections: int) -> None:
        """Open what is missing."""
        for _ in range(connections - len(self._held)):
            self._open()

    def act(self) -> None:
        """Notice what the server has closed, and send what this kind sends again and again."""
        for key, _ in self._selector.select(self._kind.pause_seconds):
            self._read(key.fileobj)  # type: ignore[arg-type] # only sockets are registered
        for connection in list(self._held):
            try:
                connection.send(self._kind.again)
            except BlockingIOError:
                continue
            except OSError:
                self._lose(connection)
            if self._kind.closes and connection in self._held:
                self._lose(connection)

    def is_waiting(self) -> bool:
        """Whether the server has not closed all of them yet."""
        return bool(self._selector.get_map())

    def _open(self) -> None:
        try:
            connection = socket.create_connection((ADDRESS, self._port), timeout=5)
        except OSError:  # the server's backlog is full: that is what an attacker wants, and tries again
            return
        connection.settimeout(0)
        with suppress(OSError):
            connection.send(self._kind.first)
        self._selector.register(connection, selectors.EVENT_READ)
        self._held.add(connection)

    def _read(self, connection: socket.socket) -> None:
        with suppress(OSError):
            if connection.recv(65536):
                return
        self._lose(connection)

    def _lose(self, connection: socket.socket) -> None:
        if connection in self._selector.get_map():
            self._selector.unregister(connection)
        if self._kind.reopens:
            self._held.discard(connection)
            connection.close()


def attack(kind: Attack, connections: int, port: int) -> None:
    """Hold the connections until SIGTERM, or until nobody can want it any more."""
    end = time.monotonic() + LONGEST_SECONDS
    crowd = Crowd(kind, port)
    crowd.grow(connections)
    while not kind.reopens and crowd.is_waiting():
        crowd.act()
    sys.stdout.write("attacking\n")
    sys.stdout.flush()
    while time.monotonic() < end:
        crowd.act()
        crowd.grow(connections)


def main() -> None:
    """Attack as the arguments say."""
    name, connections, port = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    attack(ATTACKS[name], int(connections), int(port))


if __name__ == "__main__":
    main()
