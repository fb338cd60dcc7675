"""Connects to the first address of a host that answers, within one time for the name and all addresses."""

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from ipaddress import ip_address
from selectors import EVENT_WRITE, DefaultSelector
from typing import Any

from injector.deadlines import CONNECT_STAGGER_SECONDS

MAX_ADDRESSES = 16
"""Of one name. Each one that is tried has a descriptor."""

Address = tuple[Any, ...]
"""As `socket.getaddrinfo` has it."""


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


def connect_first(
    addresses: Sequence[Address], timeout_seconds: float, options: Iterable[tuple[int, int, int | bytes]] = ()
) -> socket.socket:
    """Connect to the address that answers first; raise TimeoutError or another OSError.

    Each next one is tried a moment after the one before, or as soon as that refuses, and those before stay in the race:
    https://www.rfc-editor.org/rfc/rfc8305#section-5. Half of the time is left once all are tried.
    """
    with ExitStack() as stack:
        race = _Race(stack.enter_context(DefaultSelector()), addresses, timeout_seconds, tuple(options))
        stack.callback(race.close)
        return race.run()


class _Race:
    def __init__(
        self,
        selector: DefaultSelector,
        addresses: Sequence[Address],
        timeout_seconds: float,
        options: Sequence[tuple[int, int, int | bytes]],
    ) -> None:
        self._selector = selector
        self._waiting = deque(addresses)
        self._options = options
        self._end = time.monotonic() + timeout_seconds
        self._stagger = min(CONNECT_STAGGER_SECONDS, timeout_seconds / 2 / max(1, len(addresses)))
        self._next_start = 0.0
        self._error = OSError("the name has no address")

    def run(self) -> socket.socket:
        while self._waiting or self._selector.get_map():
            now = time.monotonic()
            if now >= self._end:
                raise TimeoutError("timed out")
            if self._waiting and now >= self._next_start:
                self._next_start = now + self._stagger
                self._start(*self._waiting.popleft())
            elif winner := self._wait(now):
                return winner
        raise self._error

    def close(self) -> None:
        for key in [*self._selector.get_map().values()]:
            self._drop(key.fileobj)

    def _start(self, family: int, kind: int, protocol: int, _name: str, address: Any) -> None:
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:  # a kernel without IPv6, or no descriptor
            self._fail(error)
            return
        sock.settimeout(0)
        self._selector.register(sock, EVENT_WRITE)
        try:
            for option in self._options:
                sock.setsockopt(*option)
            sock.connect(address)
        except BlockingIOError:  # it connects meanwhile
            pass
        except OSError as error:  # no route
            self._drop(sock)
            self._fail(error)

    def _wait(self, now: float) -> socket.socket | None:
        until = min(self._end, self._next_start) if self._waiting else self._end
        for key, _ in self._selector.select(until - now):
            sock: Any = key.fileobj
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                self._selector.unregister(sock)
                return sock  # type: ignore[no-any-return] # it is a socket
            self._drop(sock)
            self._fail(OSError(code, os.strerror(code)))
        return None

    def _fail(self, error: OSError) -> None:
        self._error, self._next_start = error, 0.0

    def _drop(self, sock: Any) -> None:
        self._selector.unregister(sock)
        sock.close()
