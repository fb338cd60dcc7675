"""Metrics and health endpoints, off by default: a separate listener, thread and WSGI app.

Other pods can reach them, so they must never serve credentials: they get counters and a timestamp only. This module,
and with it prometheus-client, is imported only if metrics are turned on.
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
from sidecar.endpoints.counters import Counters, Counts
from sidecar.errors import StartError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MAX_CLIENTS = 4
"""Further connections are closed: a flood from another pod must not use up this pod's threads or memory."""

MAX_HEAD_BYTES = 8 * 1024
REQUEST_SECONDS = 5.0
POLL_SECONDS = 60.0
"""How often the listener's thread checks for shutdown, which never comes before the process exits."""


class Metrics(Collector):
    """Exports the counters at each scrape."""

    def __init__(self, counters: Counters, expires_at: Callable[[], float]) -> None:
        self._counters = counters
        self._expires_at = expires_at

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield InfoMetricFamily("podrole_sidecar", "The sidecar's version.", {"version": contract.VERSION})
        yield GaugeMetricFamily(
            "podrole_sidecar_credentials_expiration_timestamp_seconds",
            "When the credentials expire, in seconds since the epoch; 0 without credentials.",
            self._expires_at(),
        )
        refreshes, requests, rejections = self._counters.copy()
        help_text = "Attempts to refresh the credentials, by outcome and error code."
        yield _build_counter("podrole_sidecar_refreshes", help_text, ("outcome", "code"), refreshes)
        help_text = "HTTP requests, by route and status."
        yield _build_counter("podrole_sidecar_requests", help_text, ("path", "status"), requests)
        help_text = "HTTP requests that the request filter rejected, by reason."
        yield _build_counter("podrole_sidecar_rejected_requests", help_text, ("reason",), rejections)


def _build_counter(name: str, documentation: str, labels: Sequence[str], counts: Counts) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=labels)
    for values, count in counts.items():
        family.add_metric([str(value) for value in values], count)
    return family


def create_metrics_app(
    counters: Counters, expires_at: Callable[[], float], clock: Callable[[], float] = time.time
) -> "WSGIApplication":
    """Create the app: GET /metrics, and GET /healthz, which is 503 while there are no valid credentials."""
    registry = CollectorRegistry()
    registry.register(Metrics(counters, expires_at))

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        match environ["REQUEST_METHOD"], environ["PATH_INFO"]:
            case "GET", "/metrics":
                status, content_type, body = "200 OK", CONTENT_TYPE_PLAIN_0_0_4, generate_latest(registry)
            case "GET", "/healthz" if expires_at() > clock():
                status, content_type, body = "200 OK", "text/plain", b"ok\n"
            case "GET", "/healthz":
                status, content_type, body = "503 Service Unavailable", "text/plain", b"no credentials\n"
            case _:
                status, content_type, body = "404 Not Found", "text/plain", b"use GET /metrics or GET /healthz\n"
        start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(body)))])
        return [body]

    return app


def serve_metrics(app: "WSGIApplication", port: int) -> int:
    """Listen on all addresses of the pod, in a thread; return the port. Raise StartError if it is in use."""
    try:
        server = MetricsServer(port, app)
    except OSError as error:
        raise StartError(
            f"{contract.ENV_METRICS_PORT}: cannot listen on port {port} of the pod: {error.strerror}"
        ) from error
    threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), name="metrics", daemon=True).start()
    return server.server_port


class MetricsServer(ThreadingMixIn, WSGIServer):
    """The standard library's server with a limit on concurrent clients."""

    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    daemon_threads = True

    def __init__(self, port: int, app: "WSGIApplication") -> None:
        self._slots = threading.BoundedSemaphore(MAX_CLIENTS)
        super().__init__(("", port), _Request)
        self.set_app(app)

    def server_bind(self) -> None:
        """Bind IPv4 and IPv6. Set no server name: the standard library would query DNS for it."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "", self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread, or close the connection at the limit."""
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the pod may be out of threads
            self._slots.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Handle the request, then free its slot."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: clients that disconnect could flood the log. wsgiref logs an app's exceptions."""


class _Request(WSGIRequestHandler):
    """Reads one request head with a size limit and a deadline."""

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(io.BytesIO(self._receive_head()))

    def _receive_head(self) -> bytes:
        head, deadline = b"", time.monotonic() + REQUEST_SECONDS
        while b"\r\n\r\n" not in head and len(head) < MAX_HEAD_BYTES:
            self.connection.settimeout(max(0.001, deadline - time.monotonic()))
            data = self.connection.recv(MAX_HEAD_BYTES - len(head))
            if not data:
                break
            head += data
        return head

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Write no access log."""
