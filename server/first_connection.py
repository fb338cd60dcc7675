"""Connects to a host by whichever of its addresses answers first ("Happy Eyeballs"), within one time for all of them.

https://www.rfc-editor.org/rfc/rfc8305
"""

import os
import socket
import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from selectors import EVENT_WRITE, DefaultSelector
from typing import Any

from server.deadlines import CONNECT_STAGGER_SECONDS

Address = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]
"""As getaddrinfo returns it: family, type, protocol, canonical name, address."""

Option = tuple[int, int, int | bytes]
"""Of a socket: level, name, value."""


def connect_first(
    addresses: Sequence[Address], timeout_seconds: float, options: Iterable[Option] = ()
) -> socket.socket:
    """Connect to the address that answers first; raise TimeoutError, or the first error once no address is left.

    Each next one is tried a moment after the one before, or as soon as that refuses, and those before stay in the race:
    https://www.rfc-editor.org/rfc/rfc8305#section-5. Half of the time is left once all are tried.
    """
    race = _Race(interleave(addresses), timeout_seconds, options)
    with race.selector:
        try:
            return race.run()
        finally:
            race.close()


def interleave(addresses: Sequence[Address]) -> list[Address]:
    """Let the families alternate, so that one without a way to the host delays the other only once.

    https://www.rfc-editor.org/rfc/rfc8305#section-4
    """
    preferred = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    return [address for pair in zip_longest(preferred, others) for address in pair if address]


class _Race:
    """Connections that are being established."""

    def __init__(self, addresses: Sequence[Address], timeout_seconds: float, options: Iterable[Option]) -> None:
        self.selector = DefaultSelector()
        self._waiting = deque(addresses)
        self._options = tuple(options)
        self._end = time.monotonic() + timeout_seconds
        self._stagger = min(CONNECT_STAGGER_SECONDS, timeout_seconds / 2 / max(1, len(addresses)))
        self._next_start = 0.0
        self._error: OSError | None = None
        """The first one: addresses come in the order of preference."""

    def run(self) -> socket.socket:
        while self._waiting or self.selector.get_map():
            now = time.monotonic()
            if now >= self._end:
                raise TimeoutError("timed out")
            if self._waiting and now >= self._next_start:
                self._next_start = now + self._stagger
                self._start(*self._waiting.popleft())
            elif winner := self._wait(now):
                return winner
        raise self._error or OSError("the name has no address")

    def close(self) -> None:
        for key in [*self.selector.get_map().values()]:
            self._drop(key.fileobj)

    def _start(self, family: int, kind: int, protocol: int, _name: str, address: Any) -> None:
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:  # a kernel without IPv6, or no descriptor
            self._fail(error)
            return
        sock.settimeout(0)
        self.selector.register(sock, EVENT_WRITE)
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
        for key, _ in self.selector.select(until - now):
            sock: Any = key.fileobj
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                self.selector.unregister(sock)
                return sock  # type: ignore[no-any-return] # it is a socket
            self._drop(sock)
            self._fail(OSError(code, os.strerror(code)))
        return None

    def _fail(self, error: OSError) -> None:
        self._error, self._next_start = self._error or error, 0.0

    def _drop(self, sock: Any) -> None:
        self.selector.unregister(sock)
        sock.close()
