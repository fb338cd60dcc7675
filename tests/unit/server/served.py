"""A process that serves a small app with the worker: `python -m tests.unit.server.served PORT [CERTIFICATE KEY]`."""

import socket
import ssl
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from server.connection import Service
from server.loop import Loop
from server.wsgi import MAY_BLOCK, WouldBlock

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LARGE = 8 * 1024 * 1024
SETTINGS = {"keepalive": 30, "graceful_timeout": 5, "worker_connections": 200, "threads": 2, "loglevel": "warning"}


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Answer as the path says: fail, wait, a lot, or with what was sent."""
    path = environ["PATH_INFO"]
    if path == "/fail":
        raise RuntimeError("the app's own")
    if path == "/wait":
        if not environ[MAY_BLOCK]:
            raise WouldBlock
        time.sleep(0.5)
    body = b"x" * LARGE if path == "/large" else environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body[: len(body) // 2], body[len(body) // 2 :]]


def main() -> None:
    """Serve: plain on the given port, and on the next one with TLS if there are files."""
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
