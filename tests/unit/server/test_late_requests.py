"""Requests that arrive while the server is about to stop, or to close their connection. It runs in this process."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from server.listener import Service
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
