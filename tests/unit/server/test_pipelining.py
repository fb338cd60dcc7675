"""Clients that send requests without waiting for responses, over real sockets. The server runs in this process."""

import socket
from contextlib import ExitStack

from server.listener import Service
from server.loop import MAX_READY, Loop
from server.messages import Request, Response
from server.parser import MAX_PIPELINED
from server.settings import Settings

PIPELINING_CLIENTS = 200
REQUEST = b"GET /pipelined HTTP/1.1\r\nHost: a\r\n\r\n"
NEW = b"GET /new HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
CONNECTED_AT = 2000
"""The new client connects while this request is handled: all others are accepted by then."""


def test_new_client_is_answered_after_few_pipelined_requests_of_many_clients() -> None:
    targets: list[str] = []
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=PIPELINING_CLIENTS + 1))

        def connect_and_send(data: bytes) -> None:
            connection = stack.enter_context(socket.create_connection(listener.getsockname(), timeout=5))
            connection.sendall(data)

        def handle(request: Request) -> Response:
            targets.append(request.target)
            if len(targets) == CONNECTED_AT:
                connect_and_send(NEW)
            elif request.target == "/new":
                loop.stop()
            return Response(204)

        for _ in range(PIPELINING_CLIENTS):
            connect_and_send(REQUEST * (MAX_PIPELINED - 1))
        loop = Loop({listener: Service(handle, 0)}, Settings(linger_seconds=0, graceful_seconds=0), lambda *_: None)
        loop.run()

    assert targets.index("/new") - CONNECTED_AT <= MAX_READY
