"""Clients that send without reading, from other processes: the test's own time stays free for measuring."""

import multiprocessing
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess

from tests.integration.server.targets import Target

PIECE = 64 * 1024
Address = tuple[int, str | None]
"""Port, and the file of the CA for TLS."""


def _connect(address: Address) -> socket.socket:
    port, ca = address
    opened = socket.create_connection(("127.0.0.1", port), timeout=10)
    return ssl.create_default_context(cafile=ca).wrap_socket(opened, server_hostname="127.0.0.1") if ca else opened


def _address(target: Target) -> Address:
    return target.port, str(target.log_file.parent / "ca.crt") if target.context else None


def _send_once(address: Address, count: int, first: bytes, rest: bytes) -> None:
    connections = [_connect(address) for _ in range(count)]
    for connection in connections:
        connection.sendall(first)
    for start in range(0, len(rest), PIECE):
        for connection in list(connections):
            try:
                connection.sendall(rest[start : start + PIECE])
            except OSError:
                connections.remove(connection)
    time.sleep(1)


def _flood(address: Address, count: int, first: bytes, again: bytes) -> None:
    connections: list[socket.socket] = []
    while True:
        while len(connections) < count:
            with suppress(OSError):
                connections.append(_connect(address))
                connections[-1].sendall(first)
                connections[-1].settimeout(0)
        sent = 0
        for connection in list(connections):
            try:
                sent += connection.send(again)
            except (BlockingIOError, ssl.SSLWantWriteError):
                continue
            except OSError:
                connection.close()
                connections.remove(connection)
        if not sent:
            time.sleep(0.001)


@contextmanager
def sending(target: Target, count: int, first: bytes, rest: bytes) -> Iterator[BaseProcess]:
    """Send `first` and then `rest` once on each connection, in turn; the yielded process ends a second later."""
    process = multiprocessing.get_context("spawn").Process(
        target=_send_once, args=(_address(target), count, first, rest)
    )
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


@contextmanager
def flooding(target: Target, count: int, first: bytes, again: bytes) -> Iterator[None]:
    """Keep connections that sent `first` and repeat `again` as fast as the server reads; yield after a second."""
    process = multiprocessing.get_context("spawn").Process(target=_flood, args=(_address(target), count, first, again))
    process.start()
    try:
        time.sleep(1.5)
        yield
    finally:
        process.kill()
        process.join()
