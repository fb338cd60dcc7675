"""Connects to several addresses at once and notes what happens, within one timeout and without a thread."""

import errno
import os
import selectors
import socket
import time
from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple

REFUSED = "refused"
NO_ROUTE = "no route"
TIMED_OUT = "timed out"
CONNECTED = ""

LOCAL_ERRORS = {
    errno.ENETUNREACH: NO_ROUTE,
    errno.EHOSTUNREACH: NO_ROUTE,
    errno.EADDRNOTAVAIL: NO_ROUTE,
    errno.EAFNOSUPPORT: NO_ROUTE,
    errno.ECONNREFUSED: REFUSED,
    errno.EPERM: REFUSED,
    errno.EACCES: REFUSED,
}
"""What connect() returns at once comes from this machine's kernel: its routes, or a rule for this socket."""


class Attempt(NamedTuple):
    """A connection to try."""

    address: str
    port: int
    request: bytes = b""
    """Sent once connected. Without one, nothing is sent or read."""


class Outcome(NamedTuple):
    """What became of an attempt."""

    error: str
    """CONNECTED, REFUSED, NO_ROUTE, TIMED_OUT, or the operating system's words."""

    received: bytes = b""


Step = Generator[tuple[socket.socket, int], None, "Outcome"]
"""An attempt under way: yields the socket and the event that it waits for, and returns its outcome."""


def try_all(
    attempts: Sequence[Attempt],
    timeout_seconds: float,
    max_received_bytes: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> list[Outcome]:
    """Make all attempts at once; return their outcomes at the latest after the timeout.

    Reading ends with the connection, at the limit or at the timeout. Raise OSError if there are no free sockets.
    """
    deadline = clock() + timeout_seconds
    steps = [_attempt(attempt, max_received_bytes) for attempt in attempts]
    outcomes: dict[Step, Outcome] = {}
    with selectors.DefaultSelector() as selector:
        try:
            for step in steps:
                _advance(step, selector, outcomes)
            while selector.get_map() and (remaining := deadline - clock()) > 0:
                for key, _ in selector.select(remaining):
                    selector.unregister(key.fileobj)
                    _advance(key.data, selector, outcomes)
            for key in [*selector.get_map().values()]:
                selector.unregister(key.fileobj)
                _advance(key.data, selector, outcomes, TimeoutError())
        finally:
            for step in steps:
                step.close()  # closes its socket
    return [outcomes[step] for step in steps]


def _advance(
    step: Step, selector: selectors.BaseSelector, outcomes: dict[Step, Outcome], error: OSError | None = None
) -> None:
    try:
        waiting, event = step.throw(error) if error else next(step)
        selector.register(waiting, event, step)
    except StopIteration as end:
        outcomes[step] = end.value


def _attempt(attempt: Attempt, max_received_bytes: int) -> Step:
    family = socket.AF_INET6 if ":" in attempt.address else socket.AF_INET
    try:
        connection = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT:  # IPv6, switched off in the kernel
            return Outcome(NO_ROUTE)
        raise
    with connection:
        connection.settimeout(0)
        code = connection.connect_ex((attempt.address, attempt.port))
        if code not in {0, errno.EINPROGRESS}:
            return Outcome(LOCAL_ERRORS.get(code, os.strerror(code)))
        try:
            yield connection, selectors.EVENT_WRITE
        except TimeoutError:
            return Outcome(TIMED_OUT)
        code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            return Outcome(REFUSED if code == errno.ECONNREFUSED else os.strerror(code))
        received = yield from _exchange(connection, attempt.request, max_received_bytes)
        return Outcome(CONNECTED, received)


def _exchange(
    connection: socket.socket, request: bytes, max_received_bytes: int
) -> Generator[tuple[socket.socket, int], None, bytes]:
    """Send a request, if there is one, and return what arrives."""
    received = b""
    try:
        if request:
            connection.send(request)  # shorter than any send buffer
            while len(received) < max_received_bytes:
                yield connection, selectors.EVENT_READ
                data = connection.recv(max_received_bytes - len(received))
                if not data:
                    break
                received += data
    except OSError:  # a reset, or the timeout: what arrived before counts
        pass
    return received
