"""Serves a small handler: `python -m tests.unit.server.served PORT [CERTIFICATE KEY]`."""

import signal
import socket
import ssl
import sys
import time

import server.connection
from server.listener import Service
from server.loop import Loop
from server.messages import Request, Response, WouldBlock
from server.settings import Settings

REQUEST_SECONDS = 2.0
"""Shorter than the server's own timeout, so that the tests are faster."""

LARGE = 8 * 1024 * 1024
MAX_CONNECTIONS = 200
SETTINGS = Settings(
    keepalive_seconds=30, graceful_seconds=5, linger_seconds=1, max_threads=2, max_buffered_bytes=4 * LARGE
)


def handle(request: Request) -> Response:
    """Fail, block, send a large body or echo the request body, depending on the path."""
    if request.target == "/fail":
        raise RuntimeError("error of the handler")
    if request.target == "/block":
        if not request.may_block:
            raise WouldBlock
        time.sleep(0.5)
    return Response(200, b"x" * LARGE if request.target == "/large" else request.body)


def log(reason: str, count: int, detail: str) -> None:
    """Write one line to standard error."""
    sys.stderr.write(f"{reason} {count} {detail}\n")


def main() -> None:
    """Serve HTTP on the port, and HTTPS on the next one if there is a certificate."""
    vars(server.connection)["REQUEST_SECONDS"] = REQUEST_SECONDS
    port, *files = sys.argv[1:]
    context = None
    if files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
    plain = Service(handle, 1024, MAX_CONNECTIONS)
    services = {
        socket.create_server(("127.0.0.1", int(port))): plain,
        socket.create_server(("127.0.0.1", int(port) + 1)): plain._replace(tls=(lambda: context) if context else None),
    }
    loop = Loop(services, SETTINGS, log)
    signal.signal(signal.SIGTERM, lambda *_: loop.stop())
    loop.run()


if __name__ == "__main__":
    main()
