"""Runs a socketserver in a thread; forwards an HTTP request to another server."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from typing import TypeVar

Server = TypeVar("Server", bound=socketserver.BaseServer)


@contextmanager
def serving(build: Callable[[], Server]) -> Iterator[Server]:
    """Serve until the block ends, then close the socket and join the thread."""
    with build() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def pass_on(request: BaseHTTPRequestHandler, upstream: str, path: str, within_seconds: float = 10) -> None:
    """Forward a request to another server under this path, and return its response."""
    body = request.rfile.read(int(request.headers["Content-Length"]))
    with closing(HTTPConnection(upstream, timeout=within_seconds)) as connection:
        connection.request(request.command, path, body, dict(request.headers))
        answer = connection.getresponse()
        content = answer.read()
    request.send_response(answer.status)
    request.send_header("Content-Type", answer.getheader("Content-Type", ""))
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)
