"""Resolves a name before a deadline. The C library's resolver has only its own timeouts, and nothing interrupts it."""

import math
import socket
import threading

from server.clocks import read_boottime
from server.first_connection import Address
from sidecar.http_client.stream import Deadline

STACK_BYTES = 512 * 1024
"""Of the thread. The usual 8 MiB would count towards a limit of the process's memory."""

MAX_LATE_SECONDS = 60
"""The age of an answer that was too late for its call, until which the next call uses it."""

_untaken: dict[tuple[bytes, int], "Resolution"] = {}
"""Those under way, and those with addresses that nobody has waited for."""


def resolve(host: str, port: int, deadline: Deadline) -> list[Address]:
    """Return the addresses of a name or address; raise OSError if there are none before the deadline.

    A thread that takes longer goes on, and the next call for this name waits for the same thread: there is at most one
    for each name, and with some dead DNS servers the C library takes longer than a call.
    """
    name = host.encode("ascii")  # for text Python would import its IDNA codec
    try:
        return [*socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)]
    except socket.gaierror:  # not an address
        pass
    resolution = _untaken.get((name, port))
    if not resolution or resolution.is_stale:
        resolution = _start(name, port)
    resolution.join(deadline.remaining())
    if resolution.is_alive():
        raise TimeoutError("the name was not resolved in time")
    _untaken.pop((name, port), None)
    if resolution.error:
        raise resolution.error
    return resolution.addresses


class Resolution(threading.Thread):
    """Resolves one name. A daemon: it ends with the process."""

    def __init__(self, name: bytes, port: int) -> None:
        super().__init__(name="resolve", daemon=True)
        self.addresses: list[Address] = []
        self.error: OSError | None = None
        self._question = name, port
        self._ended_at = math.inf

    @property
    def is_stale(self) -> bool:
        """Whether its answer is too old."""
        return read_boottime() - self._ended_at > MAX_LATE_SECONDS

    def run(self) -> None:
        """Resolve the name, however long that takes."""
        try:
            self.addresses = [*socket.getaddrinfo(*self._question, type=socket.SOCK_STREAM)]
        except OSError as error:
            self.error = error
            _untaken.pop(self._question, None)  # the next call asks again
        finally:
            self._ended_at = read_boottime()


def _start(name: bytes, port: int) -> Resolution:
    resolution = Resolution(name, port)
    usual = threading.stack_size(STACK_BYTES)
    try:
        _untaken[name, port] = resolution
        resolution.start()
    except RuntimeError as error:  # the limit of processes of the pod or the user
        _untaken.pop((name, port), None)
        raise OSError("no thread could be started that resolves the name") from error
    finally:
        threading.stack_size(usual)
    return resolution
