"""The metrics of a running sidecar."""

import json
import time
import urllib.error
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sidecar.credentials.credentials import EXPIRY_MARGIN_SECONDS
from sidecar.listeners import bind_metrics
from testing.ports import find_free_port
from testing.raw_http import ask, build_request, connect
from testing.services import faulty_sts as faulty
from testing.services.faulty_sts import FaultySts
from testing.sidecars import CREDENTIALS_PATH, build_environ, running_sidecar
from tests.unit.sidecar.endpoints.test_metrics import EXPIRATION, fetch, read_samples


@pytest.fixture
def port() -> Iterator[int]:
    """The port of another metrics server."""
    with bind_metrics(0) as listener:
        yield listener.getsockname()[1]


def test_sidecar_without_metrics_has_no_second_listener(faulty_sts: FaultySts, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("to.ke.n")
    port = find_free_port()
    environ = build_environ(tmp_path, faulty_sts.url, PODROLE_METRICS_PORT=str(port))
    with running_sidecar(environ, tmp_path) as sidecar:
        sidecar.wait_until_started()

        with pytest.raises(urllib.error.URLError):
            fetch(port, "/healthz")


def test_running_sidecar_exports_its_metrics(faulty_sts: FaultySts, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("to.ke.n")
    port = find_free_port()
    faulty_sts.will(faulty.BROKEN)
    environ = build_environ(tmp_path, faulty_sts.url, PODROLE_METRICS="true", PODROLE_METRICS_PORT=str(port))
    with running_sidecar(environ, tmp_path) as sidecar:
        sidecar.wait_for_log('"refreshed"', 30)
        document = json.loads(ask(sidecar.port, build_request(CREDENTIALS_PATH)).body)
        ask(sidecar.port, build_request(CREDENTIALS_PATH, host="evil.example.com"))

        text = fetch(port, "/metrics")[1]
        health = fetch(port, "/healthz")

    samples = read_samples(text)
    assert health == (200, "ok\n")
    assert samples["podrole_sidecar_refreshes_total", "", "success"] == 1
    assert samples["podrole_sidecar_requests_total", "credentials", "200"] == 1
    assert samples["podrole_sidecar_rejected_requests_total", "host"] == 1
    assert 3500 < samples[EXPIRATION,] - time.time() <= 3600
    assert not [key for key in ("AccessKeyId", "SecretAccessKey", "Token") if document[key] in text]


def test_sidecar_that_has_withdrawn_its_credentials_is_not_healthy(faulty_sts: FaultySts, tmp_path: Path) -> None:
    """In the last minute before they expire."""
    (tmp_path / "token").write_text("to.ke.n")
    port = find_free_port()
    environ = build_environ(tmp_path, faulty_sts.url, PODROLE_METRICS="true", PODROLE_METRICS_PORT=str(port))
    with running_sidecar(environ, tmp_path) as sidecar:
        assert sidecar.wait_until_started() == 0
    file = tmp_path / "run" / "state.json"
    saved = json.loads(file.read_text())
    saved["credentials"]["expires_at"] = int(time.time()) + EXPIRY_MARGIN_SECONDS + 5
    file.write_text(json.dumps(saved))
    faulty_sts.will(afterwards=faulty.BROKEN)

    with running_sidecar(environ, tmp_path) as sidecar:
        assert sidecar.wait_until_started() == 0
        while ask(sidecar.port, build_request(CREDENTIALS_PATH)).status == 200:
            time.sleep(0.1)

        assert fetch(port, "/healthz") == (503, "no credentials\n")


def test_prometheus_is_answered_at_once_while_others_hold_idle_connections(
    faulty_sts: FaultySts, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("to.ke.n")
    port = find_free_port()
    environ = build_environ(tmp_path, faulty_sts.url, PODROLE_METRICS="true", PODROLE_METRICS_PORT=str(port))
    with running_sidecar(environ, tmp_path) as sidecar, ExitStack() as held:
        assert sidecar.wait_until_started() == 0
        for _ in range(4):
            held.enter_context(connect(port))

        began = time.monotonic()
        answer = ask(port, build_request("/metrics"))

        assert answer.status == 200
        assert time.monotonic() - began < 2


def test_sidecar_with_used_metrics_port_exits(port: int, faulty_sts: FaultySts, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("to.ke.n")
    environ = build_environ(tmp_path, faulty_sts.url, PODROLE_METRICS="true", PODROLE_METRICS_PORT=str(port))
    with running_sidecar(environ, tmp_path) as sidecar:
        assert sidecar.process.wait(30) == 1
        assert f"PODROLE_METRICS_PORT: cannot listen on port {port} of the pod" in sidecar.log
