"""The fetch in a process of its own: what it asks STS, and what every bad answer of STS becomes."""

import os
import time
from pathlib import Path

import pytest

from demo.services import faulty_sts as answers
from demo.services.faulty_sts import Fault, FaultySts, Grant
from sidecar import child
from sidecar.config import Config
from sidecar.credentials import Credentials
from sidecar.refresh import Failure
from tests.sidecars import ROLE_ARN, build_environ

NOW = 1_700_000_000


@pytest.fixture
def environ(faulty_sts: FaultySts, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "token").write_text("to.ke.n")
    return build_environ(tmp_path, faulty_sts.url)


def fetch(environ: dict[str, str], deadline_seconds: float = 30) -> Credentials | Failure:
    return child.collect(child.spawn(environ), Config.from_environ(environ), deadline_seconds)


def test_a_missing_token_file_is_named_and_sts_not_asked(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    Path(environ["PODROLE_TOKEN_FILE"]).unlink()

    outcome = fetch(environ)

    assert isinstance(outcome, Failure)
    assert outcome.code == "TokenUnreadable"
    assert environ["PODROLE_TOKEN_FILE"] in outcome.message
    assert not outcome.is_final
    assert faulty_sts.requests == []


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_token_file_is_named_and_sts_not_asked(
    environ: dict[str, str], faulty_sts: FaultySts, content: str
) -> None:
    Path(environ["PODROLE_TOKEN_FILE"]).write_text(content)

    outcome = fetch(environ)

    assert outcome == Failure("TokenEmpty", f"{environ['PODROLE_TOKEN_FILE']} is empty", is_final=False)
    assert faulty_sts.requests == []


def test_a_token_of_bytes_that_are_no_text_is_a_failure(environ: dict[str, str]) -> None:
    Path(environ["PODROLE_TOKEN_FILE"]).write_bytes(b"\xff\xfe")

    outcome = fetch(environ)

    assert isinstance(outcome, Failure)
    assert outcome.code == "TokenUnreadable"


@pytest.mark.parametrize(
    "refusal",
    [answers.DENIED, answers.TOKEN_INVALID, answers.DURATION_TOO_LONG],
)
def test_a_refusal_is_final_and_asked_for_once(environ: dict[str, str], faulty_sts: FaultySts, refusal: Fault) -> None:
    faulty_sts.will(afterwards=refusal)

    outcome = fetch(environ)

    assert isinstance(outcome, Failure)
    assert outcome.is_final
    assert f"<Code>{outcome.code}</Code>" in refusal.body
    assert outcome.message in refusal.body
    assert len(faulty_sts.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [
        answers.THROTTLED,
        answers.TOO_MANY_REQUESTS,
        answers.BROKEN,
        answers.TOKEN_EXPIRED,
        answers.ISSUER_UNREACHABLE,
        answers.GARBAGE,
        answers.EMPTY,
    ],
)
def test_a_passing_fault_is_asked_again_at_once(environ: dict[str, str], faulty_sts: FaultySts, fault: Fault) -> None:
    faulty_sts.will(fault, fault)

    outcome = fetch(environ)

    assert isinstance(outcome, Credentials)
    assert len(faulty_sts.requests) == 3


def test_a_lasting_fault_is_given_up_for_this_time(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    faulty_sts.will(afterwards=answers.THROTTLED)

    outcome = fetch(environ)

    assert outcome == Failure("Throttling", "Rate exceeded", is_final=False)
    assert len(faulty_sts.requests) == 3


def test_an_sts_that_is_not_there_is_a_passing_fault(environ: dict[str, str]) -> None:
    outcome = fetch(environ | {"PODROLE_STS_ENDPOINT": "http://127.0.0.1:1"})

    assert isinstance(outcome, Failure)
    assert outcome.code == "EndpointConnectionError"
    assert not outcome.is_final


def test_a_hanging_fetch_is_killed_at_its_deadline(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    faulty_sts.will(afterwards=answers.HANGING)
    running = child.spawn(environ)
    faulty_sts.await_requests(1)
    asked_at = time.monotonic()

    outcome = child.collect(running, Config.from_environ(environ), deadline_seconds=0.2)

    assert outcome == Failure("Timeout", "STS gave no answer within 0.2 s; the attempt was ended.", is_final=False)
    assert time.monotonic() - asked_at < 2
    with pytest.raises(ProcessLookupError):
        os.kill(running.process.pid, 0)


def test_the_token_that_lies_in_the_file_now_is_sent(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    fetch(environ)
    Path(environ["PODROLE_TOKEN_FILE"]).write_text("ne.xt.one\n")

    fetch(environ)

    assert [request["WebIdentityToken"] for request in faulty_sts.requests] == ["to.ke.n", "ne.xt.one"]


def test_a_token_that_expired_is_read_anew_for_the_next_attempt(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    faulty_sts.will(Fault(400, answers.TOKEN_EXPIRED.body, delay_seconds=0.5))
    running = child.spawn(environ)
    faulty_sts.await_requests(1)
    Path(environ["PODROLE_TOKEN_FILE"]).write_text("ne.xt.one")

    outcome = child.collect(running, Config.from_environ(environ))

    assert isinstance(outcome, Credentials)
    assert [request["WebIdentityToken"] for request in faulty_sts.requests] == ["to.ke.n", "ne.xt.one"]


def test_sts_is_asked_for_the_role_in_the_name_of_the_pod(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    fetch(environ | {"PODROLE_SESSION_DURATION": "7200"})

    [request] = faulty_sts.requests
    assert request["Action"] == "AssumeRoleWithWebIdentity"
    assert request["RoleArn"] == ROLE_ARN
    assert request["RoleSessionName"] == "shop.web-5d9c7"
    assert request["DurationSeconds"] == "7200"


def test_nobodys_aws_variables_reach_the_fetch(environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default]\nregion = us-east-1\nendpoint_url = http://127.0.0.1:1\n")
    misleading = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}

    outcome = fetch(environ | misleading)

    assert isinstance(outcome, Credentials)
    assert len(faulty_sts.requests) == 1


def test_an_expiry_with_a_fraction_is_rounded_down(environ: dict[str, str], faulty_sts: FaultySts) -> None:
    faulty_sts.will(Grant(expiration="2030-01-01T00:00:00.999Z"))

    outcome = fetch(environ)

    assert isinstance(outcome, Credentials)
    assert '"2030-01-01T00:00:00Z"' in outcome.to_container_document()


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"Traceback (most recent call last):",
        b"null",
        b"[]",
        b'"code"',
        b"{}",
        b'{"code": "X"}',
        b'{"access_key_id": "A"}',
        b'{"access_key_id": "A", "secret_access_key": "B", "session_token": "C", "expires_at": 1, "more": 2}',
        b"\xff",
    ],
)
def test_a_child_that_says_anything_else_has_failed(environ: dict[str, str], written: bytes) -> None:
    outcome = child.parse_outcome(written, Config.from_environ(environ), NOW)

    assert isinstance(outcome, Failure)
    assert outcome.code == "ChildFailed"
    assert not outcome.is_final
