"""Metrics and health on their own listener; they contain no credentials."""

import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure, State
from sidecar.endpoints.app import AppState, create_app
from sidecar.endpoints.counters import create_counters
from sidecar.endpoints.metrics import MAX_CLIENTS, create_metrics_app, serve_metrics
from sidecar.errors import StartError
from testing.raw_http import Wire, connect
from testing.repository import ROOT
from testing.sidecars import ROLE_ARN

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


@pytest.fixture
def state() -> AppState:
    credential_state = State(refresh_at=NOW + 1800, credentials=CREDENTIALS)
    config = Config(role_arn=ROLE_ARN, region="eu-west-1", session_name="web", run_directory="/run")
    return AppState(config, lambda: credential_state, b"k" * 32, "boot", clock=lambda: NOW + 600)


@pytest.fixture(scope="module")
def port() -> int:
    """A listener with credentials that expire in 42 s."""
    return serve_metrics(create_metrics_app(create_counters(), lambda: NOW + 42.0, lambda: NOW), 0)


def test_used_port_error_names_the_setting(port: int) -> None:
    with pytest.raises(StartError, match=f"PODROLE_METRICS_PORT: cannot listen on port {port} of the pod"):
        serve_metrics(create_metrics_app(create_counters(), lambda: 0.0), port)


@pytest.mark.parametrize(
    "path", ["/v2/credentials", "/v1/credentials", ROLES, f"{ROLES}/reader", "/latest/api/token", "/"]
)
def test_credential_paths_are_not_found(port: int, path: str) -> None:
    status, body = fetch(port, path)

    assert (status, body) == (404, "use GET /metrics or GET /healthz\n")


def test_metrics_contain_no_credentials_or_names(state: AppState) -> None:
    client = create_app(state).test_client()
    for path in ("/v2/credentials", f"{ROLES}/reader", f"{ROLES}/marked", "/marked", "/latest/marked"):
        client.get(path, headers=LOCAL | {"X-aws-ec2-metadata-token": "marked", "User-Agent": "marked"})
    client.get("/v2/credentials", headers={"Host": "marked.example.com"})
    port = serve_metrics(create_metrics_app(state.counters, state.expires_at), 0)

    text = fetch(port, "/metrics")[1]

    for word in ("marked", "reader", "111122223333", "arn:", "ASIA", "web"):
        assert word not in text


def test_requests_are_counted_by_route_and_status(state: AppState) -> None:
    client = create_app(state).test_client()
    for path in ("/v2/credentials", "/v1/credentials/", ROLES, f"{ROLES}/reader", f"{ROLES}/other", "/nothing", "/x"):
        client.get(path, headers=LOCAL)
    client.get(ROLES, headers=LOCAL | {"X-aws-ec2-metadata-token": "x"})
    client.put("/latest/api/token", headers=LOCAL | {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    client.put("/latest/api/token", headers=LOCAL)
    client.post(ROLES, headers=LOCAL)

    assert state.counters.requests == {
        ("credentials", 200): 2,
        ("roles", 200): 1,
        ("roles", 401): 1,
        ("role", 200): 1,
        ("role", 404): 1,
        ("token", 200): 1,
        ("token", 400): 1,
        ("unknown", 404): 2,
        ("unknown", 405): 1,
    }


def test_rejected_requests_are_counted_by_reason(state: AppState) -> None:
    client = create_app(state).test_client()
    for headers in ({"Host": "evil"}, {"Host": "evil2"}, LOCAL | {"Via": "x"}, LOCAL | {"Origin": "null"}):
        client.get("/v2/credentials", headers=headers)
    client.get("/a/../b", headers=LOCAL)
    client.put("/1.0/api/token", headers=LOCAL)

    assert state.counters.rejections == {
        ("host",): 2,
        ("forwarded",): 1,
        ("browser",): 1,
        ("path",): 1,
        ("version",): 1,
    }


def test_refreshes_are_counted_by_outcome_and_code() -> None:
    counters = create_counters()
    refused = Failure("AccessDenied", "no", is_permanent=True)
    for outcome in (CREDENTIALS, refused, refused, Failure("Throttling", "slower", is_permanent=False)):
        counters.count_refresh(outcome)
    port = serve_metrics(create_metrics_app(counters, lambda: 0.0), 0)

    samples = read_samples(fetch(port, "/metrics")[1])

    assert samples["podrole_sidecar_refreshes_total", "", "success"] == 1
    assert samples["podrole_sidecar_refreshes_total", "AccessDenied", "permanent_error"] == 2
    assert samples["podrole_sidecar_refreshes_total", "Throttling", "transient_error"] == 1


def test_expiration_of_the_credentials_is_exported_as_a_timestamp(port: int) -> None:
    assert read_samples(fetch(port, "/metrics")[1])[EXPIRATION,] == NOW + 42


def test_expiration_is_zero_without_credentials(state: AppState) -> None:
    never = AppState(state.config, lambda: State(refresh_at=NOW), b"", "boot")

    assert state.expires_at() == NOW + 3600
    assert never.expires_at() == 0


@pytest.mark.parametrize(
    ("expires_at", "answer"),
    [
        pytest.param(NOW + 1.0, (200, "ok\n"), id="valid"),
        pytest.param(float(NOW), (503, "no credentials\n"), id="expired"),
        pytest.param(0.0, (503, "no credentials\n"), id="never-had-any"),
    ],
)
def test_health_depends_on_valid_credentials(expires_at: float, answer: tuple[int, str]) -> None:
    port = serve_metrics(create_metrics_app(create_counters(), lambda: expires_at, lambda: NOW), 0)

    assert fetch(port, "/healthz") == answer


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "[::1]"])
def test_metrics_listen_on_all_addresses(port: int, host: str) -> None:
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("this kernel has no IPv6")

    assert fetch(port, "/healthz", host)[0] == 200


def test_idle_clients_below_the_limit_do_not_block_others() -> None:
    port = serve_metrics(create_metrics_app(create_counters(), lambda: NOW + 42.0, lambda: NOW), 0)
    with connect(port) as first, connect(port) as second, connect(port) as third:
        for wire in (first, second, third):
            wire.send(b"GET /metrics HTTP/1.1\r\n")

        assert fetch(port, "/healthz")[0] == 200


def test_clients_above_the_limit_are_disconnected() -> None:
    port = serve_metrics(create_metrics_app(create_counters(), lambda: NOW + 42.0, lambda: NOW), 0)
    holders = [connect(port) for _ in range(MAX_CLIENTS)]
    try:
        for holder in holders:
            holder.__enter__()
        with connect(port) as late:
            assert late.read_rest() == b""
    finally:
        for holder in holders:
            holder.__exit__(None, None, None)


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


def test_prometheus_client_is_not_imported_without_metrics() -> None:
    program = (
        "import sys, sidecar.__main__, sidecar.server; "
        "print(sorted({'prometheus_client', 'wsgiref'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
