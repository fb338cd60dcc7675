"""Metrics and health, for an operator who turned them on: a listener, a thread and a WSGI app of their own.

Other pods can reach it, so it must never serve a credential: it is given counters and a number of seconds, no more.
Only a sidecar that has it turned on imports this module, and with it prometheus-client.
"""

import io
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

import contract
from sidecar.endpoints.counters import Counters, Numbers
from sidecar.errors import StartError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CLIENTS_AT_ONCE = 4
"""More are hung up on: a flood from another pod must cost this pod neither threads nor memory."""

HEAD_BYTES = 8 * 1024
REQUEST_SECONDS = 5.0
POLL_SECONDS = 60.0
"""How often the listener's thread looks for its end, which does not come before the process's."""


class Metrics(Collector):
    """Shows the counters as they are when somebody asks."""

    def __init__(self, counters: Counters, seconds_left: Callable[[], float]) -> None:
        self._counters = counters
        self._seconds_left = seconds_left

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield InfoMetricFamily("podrole_sidecar", "The sidecar.", {"version": contract.VERSION})
        left = max(0.0, self._seconds_left())
        yield GaugeMetricFamily("podrole_credentials_left_seconds", "How long the credentials live; 0: none.", left)
        refreshes, requests, rejections = self._counters.copy()
        asked = "Questions to STS, by how they ended and STS's error code."
        yield _build_counter("podrole_refreshes", asked, ("outcome", "code"), refreshes)
        answered = "Answered requests, by the family of the path and the status."
        yield _build_counter("podrole_sidecar_requests", answered, ("path", "status"), requests)
        unread = "Requests that were rejected unread, by the reason."
        yield _build_counter("podrole_rejections", unread, ("reason",), rejections)


def _build_counter(name: str, documentation: str, labels: Sequence[str], numbers: Numbers) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=labels)
    for values, number in numbers.items():
        family.add_metric([str(value) for value in values], number)
    return family


def create_metrics_app(counters: Counters, seconds_left: Callable[[], float]) -> "WSGIApplication":
    """Make the app: GET /metrics, and GET /healthz, which is 503 while there are no credentials."""
    registry = CollectorRegistry()
    registry.register(Metrics(counters, seconds_left))

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        match environ["REQUEST_METHOD"], environ["PATH_INFO"]:
            case "GET", "/metrics":
                status, kind, body = "200 OK", CONTENT_TYPE_PLAIN_0_0_4, generate_latest(registry)
            case "GET", "/healthz" if seconds_left() > 0:
                status, kind, body = "200 OK", "text/plain", b"ok\n"
            case "GET", "/healthz":
                status, kind, body = "503 Service Unavailable", "text/plain", b"no credentials\n"
            case _:
                status, kind, body = "404 Not Found", "text/plain", b"only GET /metrics and GET /healthz are here\n"
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    return app


def serve_metrics(app: "WSGIApplication", port: int) -> int:
    """Listen on every address of the pod, in a thread; return the port. Raise StartError if it is taken."""
    try:
        server = MetricsServer(port, app)
    except OSError as error:
        raise StartError(
            f"{contract.ENV_METRICS_PORT}: cannot listen on port {port} of the pod: {error.strerror}"
        ) from error
    threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), name="metrics", daemon=True).start()
    return server.server_port


class MetricsServer(ThreadingMixIn, WSGIServer):
    """The standard library's server, held to a few clients at a time."""

    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    daemon_threads = True

    def __init__(self, port: int, app: "WSGIApplication") -> None:
        self._slots = threading.BoundedSemaphore(CLIENTS_AT_ONCE)
        super().__init__(("", port), _Request)
        self.set_app(app)

    def server_bind(self) -> None:
        """Bind both families; without a name, as the standard library would ask DNS for one."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "", self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give it a thread, or hang up."""
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the pod may have no more threads
            self._slots.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Free the slot when it is done."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing, or clients that go away could fill the log. wsgiref tells of an app that fails by itself."""


class _Request(WSGIRequestHandler):
    """Reads one head, as a whole and within a time: what a client can make it hold is bounded."""

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(io.BytesIO(self._receive_head()))

    def _receive_head(self) -> bytes:
        head, deadline = b"", time.monotonic() + REQUEST_SECONDS
        while b"\r\n\r\n" not in head and len(head) < HEAD_BYTES:
            self.connection.settimeout(max(0.001, deadline - time.monotonic()))
            piece = self.connection.recv(HEAD_BYTES - len(head))
            if not piece:
                break
            head += piece
        return head

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Write no access log."""
