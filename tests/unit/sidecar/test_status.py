"""The status as JSON and as text."""

import json
import sys
from typing import NoReturn

import pytest

from sidecar import status
from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure, State, next_state, state_with
from sidecar.sockets import Reply
from sidecar.status import KEYS, MAX_LINE_LENGTH, build_status, format_status
from testing.hostile_text import HOSTILE, find_unprintable
from testing.sidecars import ROLE_ARN

NOW = 1_700_000_000
CONFIG = Config(
    role_arn=ROLE_ARN, region="eu-west-1", session_name="shop.web", run_directory="/run/podrole", pod_uid="1"
)
CREDENTIALS = Credentials(ROLE_ARN, "ASIAEXAMPLE", "very+secret/key", "session+token", NOW, NOW + 3600)
DENIED = Failure("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", is_permanent=True)
UNREACHABLE = Failure("EndpointConnectionError", "Could not connect", is_permanent=False)


def test_serving_status_has_lifetime_and_times() -> None:
    assert build_status(CONFIG, state_with(CREDENTIALS, 0), NOW + 100.5) == {
        "role": ROLE_ARN,
        "source": "web-identity",
        "intermediate_role": None,
        "mode": "redirect",
        "state": "serving",
        "seconds_left": 3499,
        "expires": "2023-11-14T23:13:20Z",
        "last_success": "2023-11-14T22:13:20Z",
        "ignored_times": [],
        "next_refresh": "2023-11-14T22:43:20Z",
        "failures": 0,
        "last_failure": None,
        "node_metadata": None,
        "state_file_error": None,
    }


def test_status_names_the_times_of_sts_that_do_not_count() -> None:
    credentials = CREDENTIALS._replace(ignores_expiration=True, ignores_date=True)

    status = build_status(CONFIG, state_with(credentials, 0), NOW)

    assert status["ignored_times"] == ["Expiration", "Date"]
    assert "ignored times Expiration, Date of STS's answer" in format_status(status).splitlines()
    assert "ignored times" not in format_status(build_status(CONFIG, state_with(CREDENTIALS, 0), NOW))


def test_initial_status_is_waiting() -> None:
    status = build_status(CONFIG, State(refresh_at=NOW), NOW)

    assert status["state"] == "waiting"
    assert [status[key] for key in ("seconds_left", "expires", "last_success", "last_failure")] == [None] * 4
    assert status["next_refresh"] == "2023-11-14T22:13:20Z"


def test_permanent_error_has_a_hint() -> None:
    status = build_status(CONFIG, next_state(State(refresh_at=NOW), DENIED, NOW, 0), NOW)

    assert status["state"] == "refused"
    assert status["failures"] == 1
    assert status["last_failure"] == {
        "code": "AccessDenied",
        "message": "Not authorized to perform sts:AssumeRoleWithWebIdentity",
        "hint": (
            "Check that the role exists and that its trust policy allows the cluster's issuer and this ServiceAccount; "
            "`podrole trust-policy` prints that policy."
        ),
        "at": "2023-11-14T22:13:20Z",
    }


def test_status_in_an_outage_is_serving_with_failures() -> None:
    state = next_state(state_with(CREDENTIALS, 0), UNREACHABLE, NOW + 1800, 0)

    status = build_status(CONFIG, state, NOW + 1800)

    assert (status["state"], status["failures"]) == ("serving", 1)
    assert status["last_failure"]["code"] == "EndpointConnectionError"


def test_status_after_expiry_is_waiting_with_0_seconds_left() -> None:
    state = next_state(state_with(CREDENTIALS, 0), UNREACHABLE, NOW + 1800, 0)

    status = build_status(CONFIG, state, NOW + 9000)

    assert (status["state"], status["seconds_left"]) == ("waiting", 0)
    assert status["expires"] == "2023-11-14T23:13:20Z"


def test_status_contains_no_secret() -> None:
    text = json.dumps(build_status(CONFIG, state_with(CREDENTIALS, 0), NOW))

    assert "very+secret" not in text
    assert "session+token" not in text
    assert "ASIAEXAMPLE" not in text


def test_text_status_has_error_and_hint() -> None:
    written = format_status(build_status(CONFIG, next_state(State(refresh_at=NOW), DENIED, NOW, 0), NOW))

    assert written.splitlines() == [
        f"role          {ROLE_ARN}",
        "source        web-identity, mode redirect",
        "state         refused",
        "expires       no credentials",
        "last success  none",
        "next refresh  2023-11-14T22:13:50Z",
        "failures      1 since the last success",
        ("last failure  2023-11-14T22:13:20Z AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"),
        (
            "hint          Check that the role exists and that its trust policy allows the cluster's issuer and this "
            "ServiceAccount; `podrole trust-policy` prints that policy."
        ),
    ]


@pytest.mark.parametrize("key", ["code", "message", "hint", "at"])
def test_value_of_a_failure_cannot_add_a_line(key: str) -> None:
    written = build_status(CONFIG, next_state(State(refresh_at=NOW), DENIED, NOW, 0), NOW)
    written["last_failure"][key] = "x\r\nstate         serving\u2028state         serving"

    lines = format_status(written).splitlines()

    assert [line for line in lines if line.startswith("state ")] == ["state         refused"]


@pytest.mark.parametrize("key", ["role", "source", "intermediate_role", "mode", "expires", "last_success", "failures"])
def test_value_of_the_status_cannot_add_a_line(key: str) -> None:
    written = build_status(CONFIG, State(refresh_at=NOW), NOW) | {key: "x\nstate         serving"}

    lines = format_status(written).splitlines()

    assert [line for line in lines if line.startswith("state ")] == ["state         waiting"]


def test_line_of_the_text_status_is_cut() -> None:
    written = build_status(CONFIG, next_state(State(refresh_at=NOW), DENIED, NOW, 0), NOW)
    written["last_failure"]["message"] = "m" * 1_000_000

    assert max(map(len, format_status(written).splitlines())) == MAX_LINE_LENGTH + len("...")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>", id="html"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"{}", id="empty-object"),
        pytest.param(b'{"state": "serving"}', id="one-key"),
        pytest.param(json.dumps(dict.fromkeys(KEYS, 1)).encode(), id="numbers"),
        pytest.param(b"[" * 60_000, id="nested"),
        pytest.param(b"\xff", id="not-utf-8"),
    ],
)
def test_document_of_another_server_is_a_sentence(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "http_get", lambda *_: Reply(200, body))
    monkeypatch.setattr(sys, "argv", ["status"])

    with pytest.raises(SystemExit) as exited:
        status.main()

    assert str(exited.value.code).endswith("the server on this port is not a podrole sidecar")


def test_hostile_answer_of_another_server_is_printed_as_printable_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = next_state(State(refresh_at=NOW), DENIED._replace(message=HOSTILE), NOW, 0)
    monkeypatch.setattr(status, "fetch_status", lambda _port: build_status(CONFIG, state, NOW))
    monkeypatch.setattr(sys, "argv", ["status"])

    with pytest.raises(SystemExit):
        status.main()

    assert not find_unprintable(capsys.readouterr().out)


def test_hostile_reason_why_there_is_no_status_is_printed_as_printable_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_port: int) -> NoReturn:
        raise ValueError(HOSTILE)

    monkeypatch.setattr(status, "fetch_status", fail)
    monkeypatch.setattr(sys, "argv", ["status"])

    with pytest.raises(SystemExit) as exited:
        status.main()

    assert not find_unprintable(str(exited.value.code))
