"""Addresses of this machine that do not answer, for tests of clients."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from server.first_connection import Address


def build_address(port: int, host: str = "127.0.0.1", family: int = socket.AF_INET) -> Address:
    """As getaddrinfo returns it."""
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port)


@contextmanager
def full_listener() -> Iterator[socket.socket]:
    """A listener that drops new connections until the waiting one is accepted."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        yield full


@contextmanager
def dead_addresses(count: int) -> Iterator[list[Address]]:
    """Addresses that do not answer."""
    with ExitStack() as stack:
        yield [build_address(stack.enter_context(full_listener()).getsockname()[1]) for _ in range(count)]
