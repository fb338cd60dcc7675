"""An STS that fails does so as a test told it, in the words of the real one."""

import time
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ReadTimeoutError

from testing.services import faulty_sts as faulty
from testing.services.faulty_sts import FaultySts
from testing.sts_client import ROLE_ARN, assume, read_refusal


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (faulty.DENIED, 403, "AccessDenied"),
        (faulty.THROTTLED, 400, "Throttling"),
        (faulty.TOO_MANY_REQUESTS, 429, "TooManyRequestsException"),
        (faulty.TOKEN_EXPIRED, 400, "ExpiredTokenException"),
        (faulty.TOKEN_INVALID, 400, "InvalidIdentityToken"),
        (faulty.ISSUER_UNREACHABLE, 400, "IDPCommunicationError"),
        (faulty.DURATION_TOO_LONG, 400, "ValidationError"),
        (faulty.BROKEN, 500, "InternalFailure"),
    ],
)
def test_a_faulty_sts_fails_as_told_and_then_grants(
    faulty_sts: FaultySts, fault: faulty.Fault, status: int, code: str
) -> None:
    faulty_sts.will(fault)

    assert read_refusal(faulty_sts.url) == (status, code)
    assert assume(faulty_sts.url)["AccessKeyId"] == "ASIA0000000000000002"


def test_a_faulty_sts_keeps_failing_when_told_so(faulty_sts: FaultySts) -> None:
    faulty_sts.will(faulty.GRANTED, afterwards=faulty.DENIED)

    assert assume(faulty_sts.url)["AccessKeyId"] == "ASIA0000000000000001"
    assert [read_refusal(faulty_sts.url)[0] for _ in range(2)] == [403, 403]


def test_a_faulty_sts_remembers_what_it_was_asked(faulty_sts: FaultySts) -> None:
    assume(faulty_sts.url, token="a&b=c")

    assert faulty_sts.await_requests(1) == faulty_sts.requests
    assert faulty_sts.requests == [
        {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": ROLE_ARN,
            "RoleSessionName": "team-a.writer-0",
            "DurationSeconds": "1800",
            "WebIdentityToken": "a&b=c",
        }
    ]


def test_a_request_that_does_not_come_is_an_error(faulty_sts: FaultySts) -> None:
    with pytest.raises(TimeoutError, match="0 of 1 requests came"):
        faulty_sts.await_requests(1, within_seconds=0.05)


def test_a_granted_session_lasts_as_long_as_it_was_asked_for(faulty_sts: FaultySts) -> None:
    life = assume(faulty_sts.url)["Expiration"] - datetime.now(UTC)

    assert timedelta(seconds=1790) < life <= timedelta(seconds=1800)


def test_a_granted_session_ends_when_the_test_says(faulty_sts: FaultySts) -> None:
    faulty_sts.will(faulty.Grant(expiration="2040-01-02T03:04:05Z"))

    assert assume(faulty_sts.url)["Expiration"] == datetime(2040, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_hanging_sts_lets_its_clients_wait(faulty_sts: FaultySts) -> None:
    faulty_sts.will(faulty.HANGING)

    with pytest.raises(ReadTimeoutError):
        assume(faulty_sts.url)


def test_a_slow_sts_answers_in_the_end(faulty_sts: FaultySts) -> None:
    faulty_sts.will(faulty.Grant(delay_seconds=0.1))
    started = time.monotonic()

    credentials = assume(faulty_sts.url)

    assert credentials["SessionToken"] == "token-1"
    assert time.monotonic() - started >= 0.1


@pytest.mark.parametrize("fault", [faulty.GARBAGE, faulty.EMPTY])
def test_garbage_comes_back_as_it_is(faulty_sts: FaultySts, fault: faulty.Fault) -> None:
    faulty_sts.will(fault)
    request = urllib.request.Request(faulty_sts.url, data=b"Action=AssumeRoleWithWebIdentity")

    with urllib.request.urlopen(request) as response:
        assert (response.status, response.read().decode()) == (200, fault.body)
