"""What a person asks a sidecar: the words, the exit code, and nothing secret."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure, State, next_state, state_with
from sidecar.status import build_status, format_status
from testing.ports import find_free_port
from testing.repository import ROOT
from testing.services import faulty_sts as answers
from testing.services.faulty_sts import FaultySts
from testing.sidecars import ROLE_ARN, build_environ, running_sidecar

NOW = 1_700_000_000
CONFIG = Config(ROLE_ARN, "eu-west-1", "shop.web", "/run/podrole")
CREDENTIALS = Credentials(ROLE_ARN, "ASIAEXAMPLE", "very+secret/key", "session+token", NOW, NOW + 3600)
DENIED = Failure("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", is_permanent=True)
UNREACHABLE = Failure("EndpointConnectionError", "Could not connect", is_permanent=False)


def run_status(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sidecar.status", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, check=False, capture_output=True, text=True, timeout=30)


@pytest.fixture
def environ(faulty_sts: FaultySts, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "token").write_text("to.ke.n")
    return build_environ(tmp_path, faulty_sts.url)


def test_with_credentials_it_says_for_how_long() -> None:
    assert build_status(CONFIG, state_with(CREDENTIALS, 0), NOW + 100.5) == {
        "role": ROLE_ARN,
        "source": "web-identity",
        "intermediate_role": None,
        "mode": "redirect",
        "state": "serving",
        "seconds_left": 3499,
        "expires": "2023-11-14T23:13:20Z",
        "last_success": "2023-11-14T22:13:20Z",
        "next_refresh": "2023-11-14T22:43:20Z",
        "failures": 0,
        "last_failure": None,
    }


def test_before_the_first_answer_it_waits() -> None:
    status = build_status(CONFIG, State(refresh_at=NOW), NOW)

    assert status["state"] == "waiting"
    assert [status[key] for key in ("seconds_left", "expires", "last_success", "last_failure")] == [None] * 4
    assert status["next_refresh"] == "2023-11-14T22:13:20Z"


def test_a_refusal_comes_with_its_remedy() -> None:
    status = build_status(CONFIG, next_state(State(refresh_at=NOW), DENIED, NOW, 0), NOW)

    assert status["state"] == "refused"
    assert status["failures"] == 1
    assert status["last_failure"] == {
        "code": "AccessDenied",
        "message": "Not authorized to perform sts:AssumeRoleWithWebIdentity",
        "remedy": (
            "Let the role's trust policy name the cluster's issuer and this ServiceAccount, "
            "`podrole trust-policy` prints it; and see that the role exists."
        ),
        "at": "2023-11-14T22:13:20Z",
    }


def test_in_an_outage_it_serves_what_it_has_and_tells_of_the_failures() -> None:
    state = next_state(state_with(CREDENTIALS, 0), UNREACHABLE, NOW + 1800, 0)

    status = build_status(CONFIG, state, NOW + 1800)

    assert (status["state"], status["failures"]) == ("serving", 1)
    assert status["last_failure"]["code"] == "EndpointConnectionError"


def test_after_the_end_of_the_credentials_it_waits_with_nothing_left() -> None:
    state = next_state(state_with(CREDENTIALS, 0), UNREACHABLE, NOW + 1800, 0)

    status = build_status(CONFIG, state, NOW + 9000)

    assert (status["state"], status["seconds_left"]) == ("waiting", 0)
    assert status["expires"] == "2023-11-14T23:13:20Z"


def test_nothing_secret_is_in_it() -> None:
    text = json.dumps(build_status(CONFIG, state_with(CREDENTIALS, 0), NOW))

    assert "very+secret" not in text
    assert "session+token" not in text
    assert "ASIAEXAMPLE" not in text


def test_a_person_reads_the_reason_and_what_to_do() -> None:
    written = format_status(build_status(CONFIG, next_state(State(refresh_at=NOW), DENIED, NOW, 0), NOW))

    assert written.splitlines() == [
        f"role          {ROLE_ARN}",
        "source        web-identity, mode redirect",
        "state         refused",
        "expires       nothing to expire",
        "last success  none",
        "next refresh  2023-11-14T22:13:50Z",
        "failures      1 since then",
        ("last failure  2023-11-14T22:13:20Z AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"),
        (
            "what to do    Let the role's trust policy name the cluster's issuer and this ServiceAccount, "
            "`podrole trust-policy` prints it; and see that the role exists."
        ),
    ]


def test_without_a_sidecar_it_says_so_and_fails(environ: dict[str, str]) -> None:
    port = find_free_port()

    asked = run_status(environ | {"PODROLE_PORT": str(port)}, "--output", "json")

    assert asked.returncode == 1
    assert asked.stdout == ""
    assert asked.stderr.startswith(f"podrole: no sidecar answers on 127.0.0.1 port {port}: ")


def test_another_server_in_its_place_is_no_sidecar(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    port = faulty_sts.url.rpartition(":")[2]

    asked = run_status(environ | {"PODROLE_PORT": port})

    assert asked.returncode == 1
    assert "it does not answer as a sidecar does" in asked.stderr


def test_a_serving_sidecar_is_a_success(environ: dict[str, str], tmp_path: Path) -> None:
    with running_sidecar(environ, tmp_path) as sidecar:
        sidecar.wait_until_started()

        asked, as_json = run_status(environ), run_status(environ, "--output", "json")

    status: dict[str, Any] = json.loads(as_json.stdout)
    assert (asked.returncode, as_json.returncode) == (0, 0)
    assert "state         serving" in asked.stdout
    assert (status["role"], status["mode"], status["state"]) == (ROLE_ARN, "env", "serving")
    assert 3500 < status["seconds_left"] <= 3600


def test_a_refused_sidecar_is_a_failure_with_a_remedy(
    environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path
) -> None:
    faulty_sts.will(afterwards=answers.DENIED)
    with running_sidecar(environ, tmp_path) as sidecar:
        sidecar.wait_until_started()

        asked = run_status(environ)

    assert asked.returncode == 1
    assert "AccessDenied: Not authorized" in asked.stdout
    assert "podrole trust-policy" in asked.stdout


def test_the_answer_needs_no_token_and_is_not_for_browsers(environ: dict[str, str], tmp_path: Path) -> None:
    with running_sidecar(environ | {"PODROLE_IMDS_TOKENS": "required"}, tmp_path) as sidecar:
        sidecar.wait_until_started()

        assert sidecar.request("/podrole/status").status == 200
        assert sidecar.request("/podrole/status", Origin="https://evil.example.com").status == 403
        assert sidecar.request("/podrole/status", Host="evil.example.com").status == 403
