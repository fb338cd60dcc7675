"""Serves hostile_handler: `python -m tests.unit.server.hostile_server PORT CERTIFICATE KEY`.

Deadlines and bounds are smaller than in production, so that tests reach them quickly.
"""

import signal
import socket
import ssl
import sys

import server.connection
from server.listener import Service
from server.loop import Loop
from server.settings import Settings
from tests.unit.server.hostile_handler import handle

MAX_BODY_BYTES = 512 * 1024
MAX_CONNECTIONS = 200
REQUEST_SECONDS = 2.0
SEND_BUFFER = 64 * 1024
SETTINGS = Settings(
    keepalive_seconds=3,
    graceful_seconds=5,
    linger_seconds=1,
    max_threads=2,
    max_waiting=4,
    max_buffered_bytes=4 * 1024 * 1024,
)


def log(reason: str, count: int, detail: str) -> None:
    """Write one line to standard error, and a traceback if it has one."""
    sys.stderr.write(f"reason={reason} count={count} {detail}\n")


def main() -> None:
    """Serve HTTP on the port, and HTTPS on the next one."""
    port, certificate, key = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    vars(server.connection).update(REQUEST_SECONDS=REQUEST_SECONDS, SEND_SECONDS=REQUEST_SECONDS)
    plain = Service(handle, MAX_BODY_BYTES, MAX_CONNECTIONS)
    listeners = [socket.create_server(("127.0.0.1", int(port) + number)) for number in range(2)]
    for listener in listeners:  # inherited by connections: the kernel takes only a small part of a large response
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    services = dict(zip(listeners, (plain, plain._replace(tls=lambda: context)), strict=True))
    loop = Loop(services, SETTINGS, log)
    signal.signal(signal.SIGTERM, lambda *_: loop.stop())
    loop.run()


if __name__ == "__main__":
    main()
