"""A client that reads a large response slowly, over a real socket."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

import server.connection
from server.deadlines import POLL_SECONDS
from server.listener import Service
from server.loop import Loop
from server.messages import Request, Response
from server.settings import Settings

SEND_SECONDS = 0.5
BODY = b"x" * 8 * 1024 * 1024
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """To a server with a short deadline for reading and a long one between two requests."""
    monkeypatch.setattr(server.connection, "SEND_SECONDS", SEND_SECONDS)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = Settings(keepalive_seconds=30, graceful_seconds=0, max_buffered_bytes=2 * len(BODY))
        loop = Loop({listener: Service(answer, 0)}, settings, lambda *_: None)
        with socket.create_connection(listener.getsockname(), timeout=5) as opened:
            thread = threading.Thread(target=loop.run)
            thread.start()
            try:
                yield opened
            finally:
                loop.stop()
                thread.join()


def answer(_request: Request) -> Response:
    return Response(200, BODY)


def test_connection_stays_open_between_requests_after_a_response_that_was_read_in_parts(
    connection: socket.socket,
) -> None:
    for _ in range(2):
        connection.sendall(GET)
        read_response(connection)
        time.sleep(SEND_SECONDS + POLL_SECONDS)  # deadlines are checked as often


def read_response(connection: socket.socket) -> None:
    with connection.makefile("rb") as stream:
        assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
        while stream.readline() != b"\r\n":
            pass
        assert len(stream.read(len(BODY))) == len(BODY)
