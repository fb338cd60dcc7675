"""A process that manages certificates like the webhook, and allows every review.

The first argument is its settings as JSON. It prints its port when it has a certificate to serve.
"""

import json
import logging
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from injector.certs.manager import CertManager
from injector.certs.state import RotationPolicy
from injector.certs.stores import Stores
from injector.certs.tls import MemoryTls
from injector.certs.x509 import Lifetimes, build_names
from injector.k8s.secret import CertificateSecret
from injector.k8s.server_clock import ServerClock
from injector.k8s.webhook_configuration import WebhookConfiguration
from testing.cluster.api import load_configuration


class Answer(BaseHTTPRequestHandler):
    """One request for each connection, so that each request makes a handshake."""

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._send({**review, "response": {"uid": review["request"]["uid"], "allowed": True}})

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        names = ("is_ready", "ca_bundle_in_sync", "rotations", "reconcile_errors")
        status = {name: getattr(server.manager, name) for name in names}
        status["is_clock_right"] = server.manager.clock.is_right()
        self._send(status | {"certificate_not_after": server.tls.certificate_not_after})

    def _send(self, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the log is about certificates."""


class Server(ThreadingHTTPServer):
    """Uses the current TLS context for each connection."""

    daemon_threads = True

    def __init__(self, tls: MemoryTls, manager: CertManager) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.tls = tls
        self.manager = manager

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread, because a handshake can be slow."""
        assert isinstance(request, socket.socket)
        with self.tls.context().wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, _request: Any, client_address: Any) -> None:
        """One line instead of a traceback."""
        logging.getLogger("replica").error("a connection failed: %s: %s", client_address, sys.exception())


def main(settings: dict[str, Any]) -> None:
    """Serve until killed."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")

    def read_clock() -> float:
        return time.time() + float(Path(settings["clock"]).read_text() if settings["clock"] else 0)

    configuration = load_configuration(settings["kubeconfig"])
    if token := settings.get("token"):
        configuration.api_key = {"authorization": f"Bearer {token}"}
        configuration.cert_file = configuration.key_file = None
    server_clock = ServerClock()
    secret = CertificateSecret(configuration, settings["namespace"], settings["secret"], server_clock)
    stores = Stores(secret, WebhookConfiguration(configuration, settings["configuration"], server_clock))
    tls = MemoryTls()
    names = build_names(settings["service"], settings["namespace"], "cluster.local")
    policy = RotationPolicy(names, Lifetimes(**settings["lifetimes"]), settings["poll_seconds"])
    manager = CertManager(stores, tls, policy, read_clock, server_clock.now)
    manager.start()
    while not tls.certificate_not_after:
        time.sleep(0.05)
    server = Server(tls, manager)
    print(server.server_port, flush=True)  # noqa: T201 - the test waits for it
    server.serve_forever()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
