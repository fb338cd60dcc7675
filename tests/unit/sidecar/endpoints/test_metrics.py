"""Metrics and health on their own listener: what they say, and what they can never say."""

import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure, State
from sidecar.endpoints.app import AppState, create_app
from sidecar.endpoints.counters import create_counters
from sidecar.endpoints.metrics import CLIENTS_AT_ONCE, create_metrics_app, serve_metrics
from sidecar.errors import StartError
from testing.ports import find_free_port
from testing.raw_http import Wire, ask, build_request, connect
from testing.repository import ROOT
from testing.services import faulty_sts as faulty
from testing.services.faulty_sts import FaultySts
from testing.sidecars import ROLE_ARN, build_environ, running_sidecar

NOW = 1_700_000_000
CREDENTIALS = Credentials(ROLE_ARN, "ASIAMARKED", "secret-marked", "token-marked", NOW, NOW + 3600)
ROLES = "/latest/meta-data/iam/security-credentials"
LOCAL = {"Host": "169.254.169.254"}


def fetch(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def read_samples(text: str) -> dict[tuple[str, ...], float]:
    """Each number under its name and the values of its labels, in the order of the labels' names."""
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def served() -> AppState:
    state = State(refresh_at=NOW + 1800, credentials=CREDENTIALS)
    config = Config(ROLE_ARN, "eu-west-1", "web", "/run")
    return AppState(config, lambda: state, b"k" * 32, "boot", clock=lambda: NOW + 600)


@pytest.fixture(scope="module")
def port() -> int:
    """A listener whose credentials live for 42 s more."""
    return serve_metrics(create_metrics_app(create_counters(), lambda: 42.0), 0)


def test_a_port_that_is_taken_ends_the_start_with_the_name_of_the_setting(port: int) -> None:
    with pytest.raises(StartError, match=f"PODROLE_METRICS_PORT: cannot listen on port {port} of the pod"):
        serve_metrics(create_metrics_app(create_counters(), lambda: 0.0), port)


@pytest.mark.parametrize(
    "path", ["/v2/credentials", "/v1/credentials", ROLES, f"{ROLES}/reader", "/latest/api/token", "/"]
)
def test_no_path_of_the_credentials_is_there(port: int, path: str) -> None:
    status, body = fetch(port, path)

    assert (status, body) == (404, "only GET /metrics and GET /healthz are here\n")


def test_nothing_of_the_role_its_keys_or_the_pod_is_shown(served: AppState) -> None:
    client = create_app(served).test_client()
    for path in ("/v2/credentials", f"{ROLES}/reader", f"{ROLES}/marked", "/marked", "/latest/marked"):
        client.get(path, headers=LOCAL | {"X-aws-ec2-metadata-token": "marked", "User-Agent": "marked"})
    client.get("/v2/credentials", headers={"Host": "marked.example.com"})
    port = serve_metrics(create_metrics_app(served.counters, served.seconds_left), 0)

    text = fetch(port, "/metrics")[1]

    for word in ("marked", "reader", "111122223333", "arn:", "ASIA", "web"):
        assert word not in text


def test_requests_are_counted_by_family_and_status(served: AppState) -> None:
    client = create_app(served).test_client()
    for path in ("/v2/credentials", "/v1/credentials/", ROLES, f"{ROLES}/reader", f"{ROLES}/other", "/nothing", "/x"):
        client.get(path, headers=LOCAL)
    client.get(ROLES, headers=LOCAL | {"X-aws-ec2-metadata-token": "x"})
    client.put("/latest/api/token", headers=LOCAL | {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    client.put("/latest/api/token", headers=LOCAL)
    client.post(ROLES, headers=LOCAL)

    assert served.counters.requests == {
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


def test_rejected_requests_are_counted_by_their_reason(served: AppState) -> None:
    client = create_app(served).test_client()
    for headers in ({"Host": "evil"}, {"Host": "evil2"}, LOCAL | {"Via": "x"}, LOCAL | {"Origin": "null"}):
        client.get("/v2/credentials", headers=headers)
    client.get("/a/../b", headers=LOCAL)
    client.put("/1.0/api/token", headers=LOCAL)

    assert served.counters.rejections == {
        ("host",): 2,
        ("forwarded",): 1,
        ("browser",): 1,
        ("path",): 1,
        ("version",): 1,
    }


def test_refreshes_are_counted_by_how_they_ended() -> None:
    counters = create_counters()
    refused = Failure("AccessDenied", "no", is_permanent=True)
    for outcome in (CREDENTIALS, refused, refused, Failure("Throttling", "slower", is_permanent=False)):
        counters.count_refresh(outcome)
    port = serve_metrics(create_metrics_app(counters, lambda: 0.0), 0)

    samples = read_samples(fetch(port, "/metrics")[1])

    assert samples["podrole_refreshes_total", "", "refreshed"] == 1
    assert samples["podrole_refreshes_total", "AccessDenied", "refused"] == 2
    assert samples["podrole_refreshes_total", "Throttling", "failed"] == 1


def test_the_seconds_of_life_that_are_left_are_shown(port: int) -> None:
    assert read_samples(fetch(port, "/metrics")[1])["podrole_credentials_left_seconds",] == 42


def test_life_ends_at_nothing(served: AppState) -> None:
    never = AppState(served.config, lambda: State(refresh_at=NOW), b"", "boot")

    assert served.seconds_left() == 3000
    assert never.seconds_left() == 0


@pytest.mark.parametrize(("seconds", "answer"), [(42.0, (200, "ok\n")), (0.0, (503, "no credentials\n"))])
def test_health_says_whether_there_are_credentials(seconds: float, answer: tuple[int, str]) -> None:
    port = serve_metrics(create_metrics_app(create_counters(), lambda: seconds), 0)

    assert fetch(port, "/healthz") == answer


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "[::1]"])
def test_it_is_on_all_addresses_of_both_families(port: int, host: str) -> None:
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("this kernel has no IPv6")

    assert fetch(port, "/healthz", host)[0] == 200


def test_while_there_are_slots_clients_that_send_nothing_keep_nobody_waiting() -> None:
    port = serve_metrics(create_metrics_app(create_counters(), lambda: 42.0), 0)
    with connect(port) as first, connect(port) as second, connect(port) as third:
        for wire in (first, second, third):
            wire.send(b"GET /metrics HTTP/1.1\r\n")

        assert fetch(port, "/healthz")[0] == 200


def test_more_clients_than_there_are_slots_are_hung_up_on() -> None:
    port = serve_metrics(create_metrics_app(create_counters(), lambda: 42.0), 0)
    holders = [connect(port) for _ in range(CLIENTS_AT_ONCE)]
    try:
        for holder in holders:
            holder.__enter__()
        with connect(port) as late:
            assert late.read_rest() == b""
    finally:
        for holder in holders:
            holder.__exit__(None, None, None)


@pytest.mark.parametrize(
    "sent", [b"x" * 100_000, b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 20_000, b"\0\xff\r\n\r\n"]
)
def test_what_is_no_request_gets_an_end(port: int, sent: bytes) -> None:
    with connect(port) as wire:
        send_as_far_as_it_goes(wire, sent)

        assert b"200 OK" not in wire.read_rest()


def send_as_far_as_it_goes(wire: Wire, sent: bytes) -> None:
    try:
        wire.send(sent)
    except OSError:  # hung up on already
        return


def test_nothing_of_it_is_loaded_where_it_is_off() -> None:
    program = (
        "import sys, sidecar.__main__, sidecar.server; "
        "print(sorted({'prometheus_client', 'wsgiref'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_a_sidecar_without_the_setting_has_no_second_listener(faulty_sts: FaultySts, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("to.ke.n")
    port = find_free_port()
    environ = build_environ(tmp_path, faulty_sts.url, PODROLE_METRICS_PORT=str(port))
    with running_sidecar(environ, tmp_path) as sidecar:
        sidecar.wait_until_started()

        with pytest.raises(urllib.error.URLError):
            fetch(port, "/healthz")


def test_a_running_sidecar_shows_what_happened_to_it(faulty_sts: FaultySts, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("to.ke.n")
    port = find_free_port()
    faulty_sts.will(faulty.BROKEN)
    environ = build_environ(tmp_path, faulty_sts.url, PODROLE_METRICS="true", PODROLE_METRICS_PORT=str(port))
    with running_sidecar(environ, tmp_path) as sidecar:
        sidecar.wait_for_log('"refreshed"', 30)
        document = json.loads(ask(sidecar.port, build_request("/v2/credentials")).body)
        ask(sidecar.port, build_request("/v2/credentials", host="evil.example.com"))

        text = fetch(port, "/metrics")[1]
        health = fetch(port, "/healthz")

    samples = read_samples(text)
    assert health == (200, "ok\n")
    assert samples["podrole_refreshes_total", "", "refreshed"] == 1
    assert samples["podrole_sidecar_requests_total", "credentials", "200"] == 1
    assert samples["podrole_rejections_total", "host"] == 1
    assert 3500 < samples["podrole_credentials_left_seconds",] <= 3600
    assert not [key for key in ("AccessKeyId", "SecretAccessKey", "Token") if document[key] in text]


def test_a_sidecar_whose_metrics_port_is_taken_says_so_and_ends(
    port: int, faulty_sts: FaultySts, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("to.ke.n")
    environ = build_environ(tmp_path, faulty_sts.url, PODROLE_METRICS="true", PODROLE_METRICS_PORT=str(port))
    with running_sidecar(environ, tmp_path) as sidecar:
        assert sidecar.process.wait(30) == 1
        assert f"PODROLE_METRICS_PORT: cannot listen on port {port} of the pod" in sidecar.log
