"""A connection that stays idle, over a real socket."""

import socket
import threading
import time

from server.deadlines import POLL_SECONDS
from server.listener import Service
from server.loop import Loop
from server.messages import Response
from server.settings import Settings

KEEPALIVE_SECONDS = 0.5


def test_connection_without_a_next_request_is_closed_after_its_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = Settings(keepalive_seconds=KEEPALIVE_SECONDS, graceful_seconds=0)
        loop = Loop({listener: Service(lambda _: Response(204), 0)}, settings, lambda *_: None)
        with socket.create_connection(listener.getsockname(), timeout=5) as connection:
            thread = threading.Thread(target=loop.run)
            thread.start()
            try:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert connection.recv(4096).startswith(b"HTTP/1.1 204 ")
                answered = time.monotonic()

                assert connection.recv(4096) == b""
                assert KEEPALIVE_SECONDS - 0.1 < time.monotonic() - answered < KEEPALIVE_SECONDS + 3 * POLL_SECONDS
            finally:
                loop.stop()
                thread.join()
