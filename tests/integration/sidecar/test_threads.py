"""Errors that nothing expects in the threads of a sidecar."""

import json
from pathlib import Path

import pytest

from testing.sidecars import CREDENTIALS_PATH, running_sidecar

PROGRAM = """
from sidecar import __main__, server
from testing.failing_calls import fail_calls
server.REFRESH_RESTART_SECONDS = 0.2
{change}
__main__.main()
"""
SHORT_PAUSE = "from server import background; background.RESTART_SECONDS = 0.2"
ERRORS = ("RuntimeError", "SystemExit", "MemoryError", "RecursionError")


def build_program(change: str) -> list[str]:
    return ["-c", PROGRAM.format(change=change)]


def list_failures(log: str) -> list[dict[str, str]]:
    lines = [json.loads(line) for line in log.splitlines()]
    return [line for line in lines if line["event"] == "thread-failed"]


@pytest.mark.parametrize("error", ERRORS)
def test_sidecar_refreshes_again_after_an_error_in_its_thread(
    metrics_environ: dict[str, str], tmp_path: Path, error: str
) -> None:
    change = (
        "from sidecar.credentials.refresher import CredentialRefresher as owner\n"
        f"fail_calls(owner, 'refresh_if_due', {error})"
    )
    with running_sidecar(metrics_environ, tmp_path, program=build_program(change)) as sidecar:
        assert sidecar.wait_until_started() == 0
        served = sidecar.request(CREDENTIALS_PATH).status
        failures = sidecar.read_metric('podrole_sidecar_thread_failures_total{thread="refresh"}')
        age = sidecar.read_metric('podrole_sidecar_thread_last_pass_age_seconds{thread="refresh"}')
        log = sidecar.log

    [line] = list_failures(log)
    assert (served, failures) == (200, 1)
    assert age is not None
    assert age < 20
    assert line["thread"] == "refresh"
    assert error in line["detail"]


@pytest.mark.parametrize("error", ERRORS)
def test_sidecar_ends_if_its_start_fails(metrics_environ: dict[str, str], tmp_path: Path, error: str) -> None:
    change = f"fail_calls(server.Server, '_verify_network', {error})"
    with running_sidecar(metrics_environ, tmp_path, program=build_program(change)) as sidecar:
        code = sidecar.process.wait(20)
        [line] = list_failures(sidecar.log)

    assert code == 1
    assert line["thread"] == "start"
    assert error in line["detail"]


def test_sidecar_serves_on_after_an_error_in_the_measurement(metrics_environ: dict[str, str], tmp_path: Path) -> None:
    change = "from sidecar.reachability.monitor import NodeMonitor as owner\nfail_calls(owner, 'measure', RuntimeError)"
    with running_sidecar(metrics_environ, tmp_path, program=build_program(f"{change}\n{SHORT_PAUSE}")) as sidecar:
        assert sidecar.wait_until_started() == 0
        log = sidecar.wait_for_log('"node-metadata"')
        served = sidecar.request(CREDENTIALS_PATH).status

    assert [line["thread"] for line in list_failures(log)] == ["measurement"]
    assert served == 200
