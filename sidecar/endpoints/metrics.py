"""Metrics and health, off by default: the handler of a listener of its own.

Other pods can reach them, so they must never serve credentials: they get counters, a timestamp, and whether the node's
metadata service answers, which every pod can find out for itself.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import contract
from server.background import BackgroundThread
from server.log_stream import count_dropped_lines
from server.messages import Handler, Request, Response
from sidecar.endpoints.counters import Counters, Counts

if TYPE_CHECKING:
    from sidecar.reachability.measurement import Measurement

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metric(NamedTuple):
    """One metric with its samples: their labels and value."""

    name: str
    kind: str
    """Prometheus' type."""

    description: str
    samples: Iterable[tuple[Mapping[str, object], float]]


class Health(NamedTuple):
    """What tells how the process itself is."""

    threads: Sequence[BackgroundThread] = ()
    read_problems: Callable[[], Mapping[str, int]] = dict
    """Of the HTTP server: how many, by reason."""

    is_state_saved: Callable[[], bool] = lambda: True
    """Whether the newest state is in the state file."""

    is_serving: Callable[[], bool] = lambda: True
    """Whether clients get credentials."""


NO_HEALTH = Health()


def create_metrics_handler(
    counters: Counters,
    expires_at: Callable[[], float],
    read_measurement: "Callable[[], Measurement | None]" = lambda: None,
    health: Health = NO_HEALTH,
) -> Handler:
    """Return the handler of GET /metrics, and of GET /healthz, which is 503 while clients get no credentials."""

    def handle(request: Request) -> Response:
        match request.method, request.target.partition("?")[0]:
            case "GET", "/metrics":
                metrics = list_metrics(counters.copy(), expires_at(), read_measurement(), health)
                return _build_text(200, render(metrics), CONTENT_TYPE)
            case "GET", "/healthz" if health.is_serving():
                return _build_text(200, "ok\n")
            case "GET", "/healthz":
                return _build_text(503, "no credentials\n")
            case _:
                return _build_text(404, "use GET /metrics or GET /healthz\n")

    return handle


def list_metrics(
    counters: Counters,
    expires_at: float,
    measurement: "Measurement | None" = None,
    health: Health = NO_HEALTH,
) -> tuple[Metric, ...]:
    """Return every metric; the node's without samples if nothing was measured."""
    addresses = measurement.addresses if measurement else {}
    return (
        Metric("podrole_sidecar_info", "gauge", "The sidecar's version.", [({"version": contract.VERSION}, 1)]),
        Metric(
            "podrole_sidecar_credentials_expiration_timestamp_seconds",
            "gauge",
            "When the credentials expire, in seconds since the epoch; 0 without credentials.",
            [({}, expires_at)],
        ),
        _build_counter(
            "podrole_sidecar_refreshes_total",
            "Attempts to refresh the credentials, by outcome and error code.",
            ("outcome", "code"),
            counters.refreshes,
        ),
        _build_counter(
            "podrole_sidecar_requests_total",
            "HTTP requests, by route and status.",
            ("path", "status"),
            counters.requests,
        ),
        _build_counter(
            "podrole_sidecar_rejected_requests_total",
            "HTTP requests that the request filter rejected, by reason.",
            ("reason",),
            counters.rejections,
        ),
        Metric(
            "podrole_sidecar_server_problems_total",
            "counter",
            "Problems of the HTTP server, by reason: connections closed, requests not answered, no descriptors.",
            [({"reason": reason}, count) for reason, count in list(health.read_problems().items())],
        ),
        Metric(
            "podrole_sidecar_thread_failures_total",
            "counter",
            "Errors that ended the work of a background thread; it starts again.",
            [({"thread": thread.name}, thread.failures) for thread in health.threads],
        ),
        Metric(
            "podrole_sidecar_thread_last_pass_age_seconds",
            "gauge",
            "Time since a background thread last completed a pass without an error.",
            [({"thread": thread.name}, thread.pass_age_seconds) for thread in health.threads],
        ),
        Metric(
            "podrole_sidecar_state_saved",
            "gauge",
            "0 while the newest credentials cannot be written to the state file: a restart would lose them.",
            [({}, int(health.is_state_saved()))],
        ),
        Metric(
            "podrole_sidecar_log_lines_dropped_total",
            "counter",
            "Lines of the log that were dropped, as nobody read it.",
            [({}, count_dropped_lines())],
        ),
        Metric(
            "podrole_sidecar_node_metadata_reachable",
            "gauge",
            "1 if the node's metadata service answered this pod at the address. In env mode only, measured every hour.",
            [({"address": address}, int(access.is_open)) for address, access in addresses.items()],
        ),
    )


def _build_counter(name: str, description: str, labels: tuple[str, ...], counts: Counts) -> Metric:
    samples = [(dict(zip(labels, values, strict=True)), count) for values, count in counts.items()]
    return Metric(name, "counter", description, samples)


def render(metrics: Iterable[Metric]) -> str:
    """Format metrics in Prometheus' text format.

    https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
    """
    return "".join(line for metric in metrics for line in _format_metric(metric))


def _format_metric(metric: Metric) -> Iterable[str]:
    yield f"# HELP {metric.name} {metric.description}\n# TYPE {metric.name} {metric.kind}\n"
    for labels, value in metric.samples:
        pairs = ",".join(f'{name}="{_escape(str(label))}"' for name, label in labels.items())
        yield f"{metric.name}{{{pairs}}} {float(value)}\n" if pairs else f"{metric.name} {float(value)}\n"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _build_text(status: int, text: str, content_type: str = "text/plain") -> Response:
    return Response(status, text.encode(), (("Content-Type", content_type),))
