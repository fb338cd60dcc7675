"""Serves a small app: `python -m tests.unit.server.served PORT [CERTIFICATE KEY]`."""

import socket
import ssl
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import server.connection
from server.connection import Service
from server.loop import Loop
from server.wsgi import MAY_BLOCK, WouldBlock

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

REQUEST_SECONDS = 2.0
"""Shorter than the server's own timeout, so that the tests are faster."""

LARGE = 8 * 1024 * 1024
SETTINGS = {"keepalive": 30, "graceful_timeout": 5, "worker_connections": 200, "threads": 2, "loglevel": "warning"}


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Fail, block, send a large body or echo the request body, depending on the path."""
    path = environ["PATH_INFO"]
    if path == "/fail":
        raise RuntimeError("error of the app")
    if path == "/block":
        if not environ[MAY_BLOCK]:
            raise WouldBlock
        time.sleep(0.5)
    body = b"x" * LARGE if path == "/large" else environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body[: len(body) // 2], body[len(body) // 2 :]]


def main() -> None:
    """Serve HTTP on the port, and HTTPS on the next one if there is a certificate."""
    server.connection.REQUEST_SECONDS = REQUEST_SECONDS
    port, *files = sys.argv[1:]
    context = None
    if files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
    services = {
        socket.create_server(("127.0.0.1", int(port))): Service(app, 1024),
        socket.create_server(("127.0.0.1", int(port) + 1)): Service(
            app, 1024, tls=(lambda: context) if context else None
        ),
    }
    Loop(services, SETTINGS, linger_seconds=1).init_process()


if __name__ == "__main__":
    main()
