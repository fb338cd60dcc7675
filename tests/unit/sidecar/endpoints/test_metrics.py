"""Metrics and health on their own listener; they contain no credentials."""

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

import contract
from server.listener import Service
from server.loop import Loop
from server.messages import Handler
from sidecar.config import Config
from sidecar.credentials.credentials import EXPIRY_MARGIN_SECONDS, Credentials
from sidecar.credentials.schedule import Failure, State
from sidecar.endpoints.counters import Counters, Counts, create_counters
from sidecar.endpoints.handler import create_handler
from sidecar.endpoints.metrics import Health, create_metrics_handler, list_metrics, render
from sidecar.endpoints.state import EndpointState
from sidecar.errors import StartError
from sidecar.listeners import bind_metrics
from sidecar.reachability.measurement import Access, Measurement
from sidecar.server import MAX_METRICS_CONNECTIONS, SETTINGS
from sidecar.sts.codes import NAMED_CODES
from testing.handlers import call
from testing.hostile_text import HOSTILE
from testing.raw_http import Wire, connect
from testing.sidecars import CREDENTIALS_PATH, POD_UID, ROLE_ARN

NOW = 1_700_000_000
CREDENTIALS = Credentials(ROLE_ARN, "ASIAMARKED", "secret-marked", "token-marked", NOW, NOW + 3600)
ROLES = "/latest/meta-data/iam/security-credentials"
EXPIRATION = "podrole_sidecar_credentials_expiration_timestamp_seconds"
LOCAL = {"Host": "169.254.169.254"}


def fetch(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def read_samples(text: str) -> dict[tuple[str, ...], float]:
    """Return each sample's value by its name and label values, in the order of the label names."""
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_sts_that_sends_ever_new_error_codes_does_not_fill_memory() -> None:
    counters = create_counters()
    for number in range(10_000):
        counters.count_refresh(Failure(f"Code{number}", "", is_permanent=False))
    counters.count_refresh(CREDENTIALS)
    counters.count_refresh(Failure("Code0", "", is_permanent=False))

    assert counters.refreshes == {("transient_error", "other"): 10_001, ("success", ""): 1}


@pytest.mark.parametrize("code", sorted(NAMED_CODES))
def test_known_error_code_is_a_label_of_its_own(code: str) -> None:
    counters = create_counters()

    counters.count_refresh(Failure(code, "", is_permanent=False))

    assert counters.refreshes == {("transient_error", code): 1}


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("Novelty", id="unknown"),
        pytest.param("", id="empty"),
        pytest.param("501", id="status-of-no-load-balancer"),
        pytest.param("C" * 128 + "...", id="cut"),
        pytest.param('A"} 1\nforged{x="', id="a-line-of-the-exposition-format"),
        pytest.param(HOSTILE, id="control-characters"),
        pytest.param("accessdenied", id="other-case"),
    ],
)
def test_other_error_code_is_the_label_other(code: str) -> None:
    counters = create_counters()

    counters.count_refresh(Failure(code, "", is_permanent=True))

    assert counters.refreshes == {("permanent_error", "other"): 1}


@contextmanager
def serving_metrics(handler: Handler) -> Iterator[int]:
    """Serve it as a sidecar does; yield the port."""
    with bind_metrics(0) as listener:
        loop = Loop({listener: Service(handler, 0, MAX_METRICS_CONNECTIONS)}, SETTINGS, lambda *_: None)
        thread = threading.Thread(target=loop.run)
        port = listener.getsockname()[1]
        thread.start()
        try:
            yield port
        finally:
            loop.stop()
            thread.join()


class PrometheusClient(Collector):
    """The same metrics, exported by Prometheus' own library."""

    def __init__(self, counters: Counters, expires_at: float) -> None:
        self._counters = counters
        self._expires_at = expires_at

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("podrole_sidecar", "The sidecar's version.", {"version": contract.VERSION})
        yield GaugeMetricFamily(
            EXPIRATION,
            "When the credentials expire, in seconds since the epoch; 0 without credentials.",
            self._expires_at,
        )
        refreshes, requests, rejections = self._counters
        help_text = "Attempts to refresh the credentials, by outcome and error code."
        yield self._build("podrole_sidecar_refreshes", help_text, ("outcome", "code"), refreshes)
        help_text = "HTTP requests, by route and status."
        yield self._build("podrole_sidecar_requests", help_text, ("path", "status"), requests)
        help_text = "HTTP requests that the request filter rejected, by reason."
        yield self._build("podrole_sidecar_rejected_requests", help_text, ("reason",), rejections)
        yield CounterMetricFamily(
            "podrole_sidecar_server_problems",
            "Problems of the HTTP server, by reason: connections closed, requests not answered, no descriptors.",
            labels=("reason",),
        )
        yield CounterMetricFamily(
            "podrole_sidecar_thread_failures",
            "Errors that ended the work of a background thread; it starts again.",
            labels=("thread",),
        )
        yield GaugeMetricFamily(
            "podrole_sidecar_thread_last_pass_age_seconds",
            "Time since a background thread last completed a pass without an error.",
            labels=("thread",),
        )
        yield GaugeMetricFamily(
            "podrole_sidecar_state_saved",
            "0 while the newest credentials cannot be written to the state file: a restart would lose them.",
            1,
        )
        yield CounterMetricFamily(
            "podrole_sidecar_log_lines_dropped", "Lines of the log that were dropped, as nobody read it.", value=0
        )
        yield GaugeMetricFamily(
            "podrole_sidecar_node_metadata_reachable",
            "1 if the node's metadata service answered this pod at the address. In env mode only, measured every hour.",
            labels=("address",),
        )

    def _build(self, name: str, description: str, labels: Sequence[str], counts: Counts) -> Metric:
        family = CounterMetricFamily(name, description, labels=labels)
        for values, count in counts.items():
            family.add_metric([str(value) for value in values], count)
        return family


def parse(text: str) -> list[tuple[str, str, str, list[tuple[str, dict[str, str], float]]]]:
    """Each metric's name, type, description and samples."""
    return [
        (family.name, family.type, family.documentation, [(one.name, one.labels, one.value) for one in family.samples])
        for family in text_string_to_metric_families(text)
    ]


@pytest.fixture
def state() -> EndpointState:
    credential_state = State(refresh_at=NOW + 1800, credentials=CREDENTIALS)
    config = Config(role_arn=ROLE_ARN, region="eu-west-1", session_name="web", run_directory="/run", pod_uid=POD_UID)
    return EndpointState(config, lambda: credential_state, b"k" * 32, "boot", clock=lambda: NOW + 600)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A listener with credentials that expire in 42 s."""
    with serving_metrics(create_metrics_handler(create_counters(), lambda: NOW + 42.0)) as port:
        yield port


def test_used_port_error_names_the_setting(port: int) -> None:
    with pytest.raises(StartError, match=f"PODROLE_METRICS_PORT: cannot listen on port {port} of the pod"):
        bind_metrics(port)


@pytest.mark.parametrize(
    "path", [CREDENTIALS_PATH, "/v1/credentials", ROLES, f"{ROLES}/reader", "/latest/api/token", "/"]
)
def test_credential_paths_are_not_found(port: int, path: str) -> None:
    status, body = fetch(port, path)

    assert (status, body) == (404, "use GET /metrics or GET /healthz\n")


def test_metrics_contain_no_credentials_or_names(state: EndpointState) -> None:
    handler = create_handler(state)
    for path in (CREDENTIALS_PATH, f"{ROLES}/reader", f"{ROLES}/marked", "/marked", "/latest/marked"):
        call(handler, path, LOCAL | {"X-aws-ec2-metadata-token": "marked", "User-Agent": "marked"})
    call(handler, CREDENTIALS_PATH, {"Host": "marked.example.com"})

    text = call(create_metrics_handler(state.counters, state.expires_at), "/metrics").body.decode()

    assert "podrole_sidecar_rejected_requests_total" in text
    for word in ("marked", "reader", "111122223333", "arn:", "ASIA", "web", POD_UID):
        assert word not in text


def test_requests_are_counted_by_route_and_status(state: EndpointState) -> None:
    handler = create_handler(state)
    for path in (CREDENTIALS_PATH, "/v1/credentials/", ROLES, f"{ROLES}/reader", f"{ROLES}/other", "/nothing", "/x"):
        call(handler, path, LOCAL | {"Authorization": "x"})
    call(handler, ROLES, LOCAL | {"X-aws-ec2-metadata-token": "x"})
    call(handler, "/latest/api/token", LOCAL | {"X-aws-ec2-metadata-token-ttl-seconds": "60"}, "PUT")
    call(handler, "/latest/api/token", LOCAL, "PUT")
    call(handler, ROLES, LOCAL, "POST")

    assert state.counters.requests == {
        ("credentials", 200): 1,
        ("pod-identity", 200): 1,
        ("roles", 200): 1,
        ("roles", 401): 1,
        ("role", 200): 1,
        ("role", 404): 1,
        ("token", 200): 1,
        ("token", 400): 1,
        ("unknown", 404): 2,
        ("unknown", 405): 1,
    }


def test_rejected_requests_are_counted_by_reason(state: EndpointState) -> None:
    handler = create_handler(state)
    for headers in ({"Host": "evil"}, {"Host": "evil2"}, LOCAL | {"Via": "x"}, LOCAL | {"Origin": "null"}):
        call(handler, CREDENTIALS_PATH, headers)
    call(handler, "/a/../b", LOCAL)
    call(handler, "/1.0/api/token", LOCAL, "PUT")
    call(handler, CREDENTIALS_PATH, LOCAL, server=("127.0.0.1", 16925))
    call(handler, "/v1/credentials", LOCAL)

    assert state.counters.rejections == {
        ("destination",): 1,
        ("authorization",): 1,
        ("host",): 2,
        ("forwarded",): 1,
        ("browser",): 1,
        ("path",): 1,
        ("version",): 1,
    }


def test_measurement_of_the_nodes_metadata_is_a_sample_for_each_address() -> None:
    given, refused = Access(is_open=True, reason="gives session tokens"), Access(is_open=False, reason="refused")
    measurement = Measurement(NOW, {"169.254.169.254": given, "fd00:ec2::254": refused})

    samples = read_samples(render(list_metrics(create_counters(), 0.0, measurement)))

    assert samples["podrole_sidecar_node_metadata_reachable", "169.254.169.254"] == 1
    assert samples["podrole_sidecar_node_metadata_reachable", "fd00:ec2::254"] == 0


def test_refreshes_are_counted_by_outcome_and_code() -> None:
    counters = create_counters()
    refused = Failure("AccessDenied", "no", is_permanent=True)
    for outcome in (CREDENTIALS, refused, refused, Failure("Throttling", "slower", is_permanent=False)):
        counters.count_refresh(outcome)

    samples = read_samples(render(list_metrics(counters, 0.0)))

    assert samples["podrole_sidecar_refreshes_total", "", "success"] == 1
    assert samples["podrole_sidecar_refreshes_total", "AccessDenied", "permanent_error"] == 2
    assert samples["podrole_sidecar_refreshes_total", "Throttling", "transient_error"] == 1


def test_expiration_of_the_credentials_is_exported_as_a_timestamp(port: int) -> None:
    assert read_samples(fetch(port, "/metrics")[1])[EXPIRATION,] == NOW + 42


def test_expiration_is_zero_without_credentials(state: EndpointState) -> None:
    never = EndpointState(state.config, lambda: State(refresh_at=NOW), b"", "boot")

    assert state.expires_at() == NOW + 3600
    assert never.expires_at() == 0


@pytest.mark.parametrize(
    ("now", "answer"),
    [
        pytest.param(NOW + 3600 - EXPIRY_MARGIN_SECONDS - 1, (200, "ok\n"), id="served"),
        pytest.param(NOW + 3600 - EXPIRY_MARGIN_SECONDS, (503, "no credentials\n"), id="withdrawn"),
        pytest.param(NOW + 3600, (503, "no credentials\n"), id="expired"),
    ],
)
def test_health_depends_on_credentials_that_clients_get(
    state: EndpointState, now: int, answer: tuple[int, str]
) -> None:
    state.clock = lambda: now
    health = Health(is_serving=state.is_serving)

    reply = call(create_metrics_handler(create_counters(), state.expires_at, health=health), "/healthz")

    assert (reply.status, reply.body.decode()) == answer
    assert reply.headers == (("Content-Type", "text/plain"),)


def test_health_fails_before_the_first_credentials(state: EndpointState) -> None:
    state.read_state = lambda: State(refresh_at=NOW)
    health = Health(is_serving=state.is_serving)

    reply = call(create_metrics_handler(create_counters(), state.expires_at, health=health), "/healthz")

    assert (reply.status, reply.body.decode()) == (503, "no credentials\n")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "[::1]"])
def test_metrics_listen_on_all_addresses(port: int, host: str) -> None:
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("this kernel has no IPv6")

    assert fetch(port, "/healthz", host)[0] == 200


@pytest.mark.parametrize("count", [3, 4, MAX_METRICS_CONNECTIONS, 100])
@pytest.mark.parametrize(
    "sent", [pytest.param(b"", id="nothing"), pytest.param(b"GET /metrics HTTP/1.1\r\n", id="half-a-request")]
)
def test_metrics_are_answered_at_once_with_idle_connections(port: int, count: int, sent: bytes) -> None:
    with ExitStack() as held:
        for _ in range(count):
            held.enter_context(connect(port)).send(sent)

        with connect(port) as wire:
            wire.socket.settimeout(2)  # less than the server's timeout for idle connections
            wire.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = wire.read_answer()

    assert answer.status == 200
    assert answer.find("Content-Type") == CONTENT_TYPE_PLAIN_0_0_4


def test_oldest_client_above_the_limit_is_disconnected(port: int) -> None:
    with connect(port) as oldest, ExitStack() as held:
        for _ in range(MAX_METRICS_CONNECTIONS):
            held.enter_context(connect(port)).send(b"GET /metrics HTTP/1.1\r\n")

        oldest.socket.settimeout(2)
        assert oldest.read_rest() == b""


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"x" * 100_000, id="no-line-end"),
        pytest.param(b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 20_000, id="head-too-large"),
        pytest.param(b"\0\xff\r\n\r\n", id="binary"),
    ],
)
def test_invalid_http_to_the_metrics_port_is_closed(port: int, sent: bytes) -> None:
    with connect(port) as wire:
        send_until_closed(wire, sent)

        assert b"200 OK" not in wire.read_rest()


def send_until_closed(wire: Wire, sent: bytes) -> None:
    try:
        wire.send(sent)
    except OSError:  # the server has closed the connection
        return


@pytest.mark.parametrize("code", ["AccessDenied", 'quo"te', "back\\slash", "new\nline", "\\n", "", "\u00fc"])
def test_metrics_are_those_that_the_prometheus_library_exports(code: str) -> None:
    counters = create_counters()
    counters.refreshes["success", ""] += 12345678901
    counters.refreshes["permanent_error", code] += 2
    counters.requests["roles", 200] += 1
    counters.rejections[("host",)] += 3
    registry = CollectorRegistry()
    registry.register(PrometheusClient(counters, NOW + 0.5))

    text = render(list_metrics(counters, NOW + 0.5))

    assert parse(text) == parse(generate_latest(registry).decode())
    assert len(parse(text)) == 11


def test_metrics_without_any_request_are_those_of_the_prometheus_library() -> None:
    registry = CollectorRegistry()
    registry.register(PrometheusClient(create_counters(), 0.0))

    assert parse(render(list_metrics(create_counters(), 0.0))) == parse(generate_latest(registry).decode())
