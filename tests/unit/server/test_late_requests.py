"""Requests that arrive while the server is about to stop, or to close their connection. It runs in this process."""

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import pytest

import server.loop
from server.deadlines import KEEPALIVE_SECONDS, POLL_SECONDS
from server.listener import Listener, Service
from server.loop import Loop
from server.messages import Request, Response
from server.settings import Settings

FIRST = b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n"
STOP = b"GET /stop HTTP/1.1\r\nHost: a\r\n\r\n"
LATE = b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n"


@dataclass
class Clients:
    """Opens connections to one listener and closes them at the end."""

    listener: socket.socket
    stack: ExitStack = field(default_factory=ExitStack)

    def connect(self) -> socket.socket:
        return self.stack.enter_context(socket.create_connection(self.listener.getsockname(), timeout=5))


@pytest.fixture
def clients() -> Iterator[Clients]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        opened = Clients(listener)
        with opened.stack:
            yield opened


def on_new_connection(clients: Clients) -> Callable[[], socket.socket]:
    return clients.connect


def on_kept_connection(clients: Clients) -> Callable[[], socket.socket]:
    kept = clients.connect()
    kept.sendall(FIRST)
    return lambda: kept


@pytest.mark.parametrize(
    "prepare",
    [pytest.param(on_new_connection, id="new-connection"), pytest.param(on_kept_connection, id="kept-connection")],
)
def test_request_that_arrives_in_the_last_turn_before_stop_is_answered(
    clients: Clients, prepare: Callable[[Clients], Callable[[], socket.socket]]
) -> None:
    connect_late = prepare(clients)
    stopping = clients.connect()
    stopping.sendall(FIRST)
    late: list[socket.socket] = []

    def handle(request: Request) -> Response:
        if request.target == "/stop":
            late.append(connect_late())
            late[0].sendall(LATE)
            loop.stop()
        elif request.target == "/first" and request.client == stopping.getsockname():
            stopping.sendall(STOP)  # so that it is handled in a turn of its own
        return Response(200, request.target.encode())

    loop = Loop({clients.listener: Service(handle, 0)}, Settings(linger_seconds=0), lambda *_: None)
    loop.run()

    assert b"/late" in read_until_closed(late[0])


def test_kept_connection_with_a_request_is_not_closed_for_a_new_client(clients: Clients) -> None:
    kept, other, stopping = (clients.connect() for _ in range(3))
    kept.sendall(FIRST)

    def handle(request: Request) -> Response:
        if request.target == "/first" and request.client == kept.getsockname():
            other.sendall(FIRST)
        elif request.target == "/first" and request.client == other.getsockname():
            clients.connect()  # the loop sees it before the request
            kept.sendall(LATE)
            stopping.sendall(STOP)
        elif request.target == "/stop":
            loop.stop()
        return Response(200, request.target.encode())

    service = Service(handle, 0, max_connections=3)
    loop = Loop({clients.listener: service}, Settings(linger_seconds=0), lambda *_: None)
    loop.run()

    assert b"/late" in read_until_closed(kept)


@pytest.mark.parametrize(
    ("seconds", "is_answered"),
    [pytest.param(60, True, id="just-begun"), pytest.param(-1, False, id="begun-long-ago")],
)
def test_request_that_has_just_begun_is_not_closed_for_a_client_without_a_descriptor(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, *, seconds: float, is_answered: bool
) -> None:
    begun, other = clients.connect(), clients.connect()
    begun.sendall(LATE[:10])
    other.sendall(FIRST)
    monkeypatch.setattr(server.loop, "EXHAUSTED_SECONDS", seconds)
    accept, failures = Listener.accept, list[OSError]()

    def handle(request: Request) -> Response:
        if request.target == "/first" and request.client == other.getsockname():
            monkeypatch.setattr(Listener, "accept", fail)
            clients.connect().sendall(STOP)
            other.close()
        elif request.target == "/stop":
            begun.sendall(LATE[10:])
            loop.stop()
        return Response(200, request.target.encode())

    def fail(listener: Listener) -> tuple[socket.socket, object] | None:
        if len(failures) == 2:  # in this turn, and as the first in the next one
            return accept(listener)
        failures.append(OSError(errno.EMFILE, "Too many open files"))
        raise failures[-1]

    loop = Loop({clients.listener: Service(handle, 0)}, Settings(linger_seconds=0), lambda *_: None)
    loop.run()

    received = b""
    with suppress(ConnectionResetError):
        received = read_until_closed(begun)
    assert (b"/late" in received) == is_answered


@pytest.mark.parametrize("seconds", [KEEPALIVE_SECONDS, KEEPALIVE_SECONDS * 10], ids=["just", "long"])
def test_kept_connection_whose_request_arrives_as_its_time_ends_is_answered(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    kept, other = clients.connect(), clients.connect()
    kept.sendall(FIRST)
    passed = [0.0]
    monotonic = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + passed[0])

    def handle(request: Request) -> Response:
        if request.target == "/first" and request.client == kept.getsockname():
            other.sendall(FIRST)
        elif request.target == "/first":
            kept.sendall(LATE)
            passed[0] += seconds + POLL_SECONDS
        else:
            loop.stop()
        return Response(200, request.target.encode())

    loop = Loop({clients.listener: Service(handle, 0)}, Settings(linger_seconds=0), lambda *_: None)
    watchdog = threading.Timer(10, loop.stop)
    watchdog.start()
    loop.run()
    watchdog.cancel()

    assert b"/late" in read_until_closed(kept)


def test_client_whose_next_request_is_not_read_gets_the_response_and_no_reset(clients: Clients) -> None:
    client = clients.connect()
    client.sendall(FIRST)

    def fail(_request: Request) -> Response:
        client.sendall(LATE)
        loop.stop()
        raise RuntimeError

    loop = Loop({clients.listener: Service(fail, 0)}, Settings(linger_seconds=0), lambda *_: None)
    loop.run()

    assert read_until_closed(client).startswith(b"HTTP/1.1 500 ")


def read_until_closed(connection: socket.socket) -> bytes:
    received = b""
    while data := connection.recv(4096):
        received += data
    return received
