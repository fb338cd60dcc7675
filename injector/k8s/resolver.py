"""Looks up names for so long as who asks wants to wait: the C library's function cannot be interrupted."""

import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from ipaddress import ip_address

from server.first_connection import Address

MAX_ADDRESSES = 16
"""Of one name. Each one that is tried has a descriptor."""


class Resolver:
    """Looks up names. Whoever waits can give up; the C library's function cannot. Thread-safe."""

    def __init__(self, look_up: Callable[[str, int], Sequence[Address]]) -> None:
        self._look_up = look_up
        self._lock = threading.Lock()
        self._running: dict[tuple[str, int], Future[Sequence[Address]]] = {}
        """At most one thread for each name, however many wait and give up."""

    def resolve(self, host: str, port: int, timeout_seconds: float) -> Sequence[Address]:
        """The addresses of a name; raise TimeoutError or another OSError."""
        if is_address(host):  # without a thread: in a cluster it always is
            return self._look_up(host, port)
        with self._lock:
            found = self._running.get((host, port)) or self._start(host, port)
        return found.result(timeout_seconds)[:MAX_ADDRESSES]

    def _start(self, host: str, port: int) -> Future[Sequence[Address]]:
        found = self._running[host, port] = Future()
        try:
            threading.Thread(target=self._run, args=(host, port, found), name="resolver", daemon=True).start()
        except RuntimeError as error:  # no memory, or too many threads
            del self._running[host, port]
            raise OSError(f"cannot look up {host}: {error}") from error
        return found

    def _run(self, host: str, port: int, found: Future[Sequence[Address]]) -> None:
        try:
            addresses = self._look_up(host, port)
        except BaseException as error:  # noqa: BLE001 - raised again for each who waits
            self._forget(host, port)
            found.set_exception(error)
        else:
            self._forget(host, port)
            found.set_result(addresses)

    def _forget(self, host: str, port: int) -> None:
        with self._lock:
            del self._running[host, port]


def look_up(host: str, port: int) -> Sequence[Address]:
    """The addresses of a name, for TCP."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def is_address(host: str) -> bool:
    """Whether a host is an address and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
