"""A proxy that delays the responses of STS."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from testing.serving import pass_on, serving


class DelayingServer(ThreadingHTTPServer):
    """Forwards to one server; listens on a free port."""

    def __init__(self, address: str, upstream: str, seconds: float) -> None:
        super().__init__((address, 0), DelayedRequest)
        self.upstream = urlsplit(upstream).netloc
        self.seconds = seconds
        self.url = f"http://{address}:{self.server_port}"


class DelayedRequest(BaseHTTPRequestHandler):
    """Forwards one request."""

    timeout = 10
    server: DelayingServer

    def do_POST(self) -> None:
        """Wait, then forward."""
        time.sleep(self.server.seconds)
        pass_on(self, self.server.upstream, self.path)

    def log_message(self, *_: Any) -> None:
        """Do not log."""


@contextmanager
def delaying(address: str, upstream: str, seconds: float) -> Iterator[str]:
    """Run the proxy until the block ends; yield its URL."""
    with serving(partial(DelayingServer, address, upstream, seconds)) as server:
        yield server.url
