"""An STS that is far away: what it answers comes later than it would."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.serving import serving

LONGEST_SECONDS = 10


class DelayingServer(ThreadingHTTPServer):
    """Passes on to one server, on a free port of an address."""

    def __init__(self, address: str, upstream: str, seconds: float) -> None:
        super().__init__((address, 0), DelayedRequest)
        self.upstream = urlsplit(upstream).netloc
        self.seconds = seconds
        self.url = f"http://{address}:{self.server_port}"


class DelayedRequest(BaseHTTPRequestHandler):
    """One request."""

    timeout = LONGEST_SECONDS
    server: DelayingServer

    def do_POST(self) -> None:
        """Wait, then ask."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.server.seconds)
        upstream = HTTPConnection(self.server.upstream, timeout=LONGEST_SECONDS)
        upstream.request("POST", self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.getheader("Content-Type", ""))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


@contextmanager
def delaying(address: str, upstream: str, seconds: float) -> Iterator[str]:
    """The URL of one, until the block ends."""
    with serving(partial(DelayingServer, address, upstream, seconds)) as server:
        yield server.url
