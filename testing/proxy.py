"""A forward proxy that records its requests: tunnels (CONNECT) and absolute URIs; with TLS or without."""

import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from testing.serving import pass_on, serving

LONGEST_SECONDS = 10


@dataclass
class Proxy:
    """The proxy's URL and recorded requests."""

    url: str
    requests: list[str] = field(default_factory=list)
    """Method and target of each request, in order."""


class ProxyServer(ThreadingHTTPServer):
    """Listens on a free port on loopback."""

    daemon_threads = False

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), ProxyRequest)
        self.proxy = Proxy(f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}")
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)


class ProxyRequest(BaseHTTPRequestHandler):
    """Forwards one request and closes."""

    timeout = LONGEST_SECONDS
    server: ProxyServer

    def do_CONNECT(self) -> None:
        """Copy bytes both ways until one side closes."""
        self.server.proxy.requests.append(f"CONNECT {self.path}")
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), LONGEST_SECONDS) as upstream:
            self.send_response(200)
            self.end_headers()
            others = {self.connection: upstream, upstream: self.connection}
            while True:
                ready, _, _ = select.select(list(others), [], [], LONGEST_SECONDS)
                for side in ready:
                    data = side.recv(65536)
                    if not data:
                        return
                    while isinstance(side, ssl.SSLSocket) and side.pending():
                        data += side.recv(65536)
                    others[side].sendall(data)
                if not ready:
                    return

    def do_POST(self) -> None:
        """Forward the request to the host of the URI."""
        self.server.proxy.requests.append(f"POST {self.path}")
        target = urlsplit(self.path)
        pass_on(self, target.netloc, target.path or "/")

    def log_message(self, *_: Any) -> None:
        """Do not log."""


@contextmanager
def running_proxy(tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """Run a proxy until the block ends; clients speak TLS with it if a context is given."""
    with serving(lambda: ProxyServer(tls)) as server:
        yield server.proxy
