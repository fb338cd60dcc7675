"""Errors of STS, whatever their code and message have, through the real process: status, metrics, log, responses."""

import json
import subprocess
import sys
from pathlib import Path

from testing.repository import ROOT
from testing.services.faulty_sts import GRANTED, KEYS_UNFETCHED, Fault, FaultySts
from testing.sidecars import CREDENTIALS_PATH, Sidecar, running_sidecar

FORGED = "&#13;&#10;state         serving&#10;hint          none&#x85;&#x2028;&#x9b;31m"
"""As XML can have it: line breaks, C1, a separator of lines."""

HOSTILE = Fault(400, f"<R><Error><Code>A{FORGED}</Code><Message>m{FORGED * 400}</Message></Error></R>")


def run_status(sidecar: Sidecar) -> str:
    command = [sys.executable, "-m", "sidecar.status"]
    return subprocess.run(command, cwd=ROOT, env=sidecar.environ, check=False, capture_output=True, text=True).stdout


def test_message_of_sts_adds_no_line_to_status_log_or_metrics(
    metrics_environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path
) -> None:
    faulty_sts.will(afterwards=HOSTILE)
    with running_sidecar(metrics_environ, tmp_path) as sidecar:
        assert sidecar.wait_until_started() == 0
        status, metrics, served = run_status(sidecar), sidecar.read_metrics(), sidecar.request(CREDENTIALS_PATH)
        log = sidecar.log

    assert [line for line in status.splitlines() if line.startswith("state ")] == ["state         refused"]
    assert [line.split()[0] for line in status.splitlines()].count("hint") == 1
    assert 'podrole_sidecar_refreshes_total{outcome="permanent_error",code="other"} 1.0' in metrics.splitlines()
    assert all(json.loads(line)["event"] for line in log.splitlines())
    assert max(map(len, log.splitlines())) < 4096
    assert served.status == 403
    assert (json.loads(served.body)["message"] + json.loads(served.body)["code"]).isprintable()


def test_app_does_not_see_that_sts_fetched_the_keys_at_the_third_time(
    metrics_environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path
) -> None:
    faulty_sts.will(*[KEYS_UNFETCHED] * 2, afterwards=GRANTED)
    with running_sidecar(metrics_environ, tmp_path) as sidecar:
        assert sidecar.wait_until_started() == 0
        first = sidecar.request(CREDENTIALS_PATH)
        log = sidecar.log

    assert first.status == 200
    assert '"sts_responded": true' in log
    assert "refresh-failed" not in log


def test_keys_that_sts_could_not_fetch_are_503_until_it_can(
    metrics_environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path
) -> None:
    """A new issuer: its provider exists, but STS has not fetched its keys in the first seconds."""
    faulty_sts.will(*[KEYS_UNFETCHED] * 4, afterwards=GRANTED)
    with running_sidecar(metrics_environ, tmp_path) as sidecar:
        sidecar.wait_for_log('"refresh-failed"', 20)
        meanwhile, status = sidecar.request(CREDENTIALS_PATH), run_status(sidecar)
        assert sidecar.wait_until_started() == 0
        served = sidecar.request(CREDENTIALS_PATH)
        log = sidecar.log

    assert (meanwhile.status, json.loads(meanwhile.body)["code"]) == (503, "InvalidIdentityToken")
    assert "state         waiting" in status
    assert "hint          STS could not fetch the issuer's keys." in status
    assert served.status == 200, "the start waited"
    assert '"permanent": false' in log
    assert '"sts_responded": true' in log
