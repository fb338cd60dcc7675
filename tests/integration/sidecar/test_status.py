"""The status command against running sidecars: its exit code and its output."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from testing.ports import find_free_port
from testing.repository import ROOT
from testing.services import faulty_sts as answers
from testing.services.faulty_sts import FaultySts
from testing.sidecars import ROLE_ARN, running_sidecar


def run_status(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sidecar.status", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, check=False, capture_output=True, text=True, timeout=30)


def test_status_command_without_a_sidecar_fails(environ: dict[str, str]) -> None:
    port = find_free_port()

    result = run_status(environ | {"PODROLE_PORT": str(port)}, "--output", "json")

    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"podrole: cannot get the sidecar's status from 127.0.0.1 port {port}: ")


def test_status_command_rejects_another_server(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    port = faulty_sts.url.rpartition(":")[2]

    result = run_status(environ | {"PODROLE_PORT": port})

    assert result.returncode == 1
    assert "the server on this port is not a podrole sidecar" in result.stderr


def test_status_command_of_a_serving_sidecar_succeeds(environ: dict[str, str], tmp_path: Path) -> None:
    with running_sidecar(environ, tmp_path) as sidecar:
        sidecar.wait_until_started()

        result, as_json = run_status(environ), run_status(environ, "--output", "json")

    status: dict[str, Any] = json.loads(as_json.stdout)
    assert (result.returncode, as_json.returncode) == (0, 0)
    assert "state         serving" in result.stdout
    assert (status["role"], status["mode"], status["state"]) == (ROLE_ARN, "env", "serving")
    assert 3500 < status["seconds_left"] <= 3600


def test_status_command_of_a_refused_sidecar_fails_with_a_hint(
    environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path
) -> None:
    faulty_sts.will(afterwards=answers.DENIED)
    with running_sidecar(environ, tmp_path) as sidecar:
        sidecar.wait_until_started()

        result = run_status(environ)

    assert result.returncode == 1
    assert "AccessDenied: Not authorized" in result.stdout
    assert "podrole trust-policy" in result.stdout


def test_status_path_needs_no_token_and_rejects_browsers(environ: dict[str, str], tmp_path: Path) -> None:
    with running_sidecar(environ | {"PODROLE_IMDS_TOKENS": "required"}, tmp_path) as sidecar:
        sidecar.wait_until_started()

        assert sidecar.request("/podrole/status").status == 200
        assert sidecar.request("/podrole/status", Origin="https://evil.example.com").status == 403
        assert sidecar.request("/podrole/status", Host="evil.example.com").status == 403
