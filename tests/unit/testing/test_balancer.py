"""The load balancer of the tests passes on how a connection ends."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from threading import Thread

from testing.cluster.balancer import ADDRESS, balance

SENDERS = 16
ROUNDS = 5
BODY = b"a" * 8_000_000
TIMEOUT_SECONDS = 10.0
DISCARDED = 100


@contextmanager
def replica(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """Call the handler for each connection, then close it; yield the port of a balancer in front of it."""

    def accept() -> None:
        with suppress(OSError):
            while True:
                Thread(target=handle_and_close, args=(listener.accept()[0],), daemon=True).start()

    def handle_and_close(accepted: socket.socket) -> None:
        with accepted, suppress(OSError):
            handle(accepted)

    with socket.create_server((ADDRESS, 0)) as listener:
        Thread(target=accept, daemon=True).start()
        with balance([listener.getsockname()[1]]) as port:
            yield port
        listener.shutdown(socket.SHUT_RDWR)


def reject(accepted: socket.socket) -> None:
    """Answer before the body has arrived, and discard a part of it, as `server/` does with a body that is too large."""
    accepted.recv(1024)
    accepted.sendall(b"413")
    accepted.shutdown(socket.SHUT_WR)
    for _ in range(DISCARDED):
        accepted.recv(16384)


def reverse(accepted: socket.socket) -> None:
    """Answer when the client has ended its sending side."""
    body = b""
    while piece := accepted.recv(1024):
        body += piece
    accepted.sendall(body[::-1])


def connect(port: int) -> socket.socket:
    return socket.create_connection((ADDRESS, port), timeout=TIMEOUT_SECONDS)


def send_body(port: int) -> str:
    """Send until the end or an error; return which."""
    with connect(port) as client:
        try:
            client.sendall(BODY)
        except TimeoutError:
            return "timeout"
        except OSError:
            return "closed"
    return "sent"


def test_sender_of_a_large_body_does_not_wait_after_the_replica_has_closed() -> None:
    with replica(reject) as port, ThreadPoolExecutor(SENDERS) as pool:
        ends = [*pool.map(send_body, [port] * SENDERS * ROUNDS)]

    assert ends.count("timeout") == 0
    assert "closed" in ends


def test_client_gets_the_answer_after_it_has_ended_its_sending_side() -> None:
    with replica(reverse) as port, connect(port) as client:
        client.sendall(b"abc")
        client.shutdown(socket.SHUT_WR)

        assert client.recv(1024) == b"cba"
        assert client.recv(1024) == b""
