"""Resolves a name before a deadline. The C library's resolver has only its own timeouts, and nothing interrupts it."""

import socket
import threading

from sidecar.http_client.stream import Deadline

STACK_BYTES = 512 * 1024
"""Of the thread. The usual 8 MiB would count towards a limit of the process's memory."""

Address = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]
"""As getaddrinfo returns it: family, type, protocol, canonical name, address."""

_unfinished: dict[tuple[bytes, int], "Resolution"] = {}


def resolve(host: str, port: int, deadline: Deadline) -> list[Address]:
    """Return the addresses of a name or address; raise OSError if there are none before the deadline.

    A thread that takes longer goes on, and the next call for this name waits for the same thread: there is at most one
    for each name, and an answer that comes late is not lost.
    """
    name = host.encode("ascii")  # for text Python would import its IDNA codec
    try:
        return [*socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)]
    except socket.gaierror:  # not an address
        pass
    resolution = _unfinished.get((name, port)) or _start(name, port)
    resolution.join(deadline.remaining())
    if resolution.is_alive():
        raise TimeoutError("the name was not resolved in time")
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

    def run(self) -> None:
        """Resolve the name, however long that takes."""
        try:
            self.addresses = [*socket.getaddrinfo(*self._question, type=socket.SOCK_STREAM)]
        except OSError as error:
            self.error = error
        finally:
            _unfinished.pop(self._question, None)


def _start(name: bytes, port: int) -> Resolution:
    resolution = Resolution(name, port)
    usual = threading.stack_size(STACK_BYTES)
    try:
        _unfinished[name, port] = resolution
        resolution.start()
    except RuntimeError as error:  # the limit of processes of the pod or the user
        _unfinished.pop((name, port), None)
        raise OSError("no thread could be started that resolves the name") from error
    finally:
        threading.stack_size(usual)
    return resolution
