"""The fake STS returns configured responses in the format of the real one."""

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
        pytest.param(faulty.DENIED, 403, "AccessDenied", id="AccessDenied"),
        pytest.param(faulty.THROTTLED, 400, "Throttling", id="Throttling"),
        pytest.param(faulty.TOO_MANY_REQUESTS, 429, "TooManyRequestsException", id="TooManyRequestsException"),
        pytest.param(faulty.TOKEN_EXPIRED, 400, "ExpiredTokenException", id="ExpiredTokenException"),
        pytest.param(faulty.TOKEN_INVALID, 400, "InvalidIdentityToken", id="InvalidIdentityToken"),
        pytest.param(faulty.ISSUER_UNREACHABLE, 400, "IDPCommunicationError", id="IDPCommunicationError"),
        pytest.param(faulty.DURATION_TOO_LONG, 400, "ValidationError", id="ValidationError"),
        pytest.param(faulty.BROKEN, 500, "InternalFailure", id="InternalFailure"),
    ],
)
def test_configured_fault_is_returned_once(faulty_sts: FaultySts, fault: faulty.Fault, status: int, code: str) -> None:
    faulty_sts.will(fault)

    assert read_refusal(faulty_sts.url) == (status, code)
    assert assume(faulty_sts.url)["AccessKeyId"] == "ASIA0000000000000002"


def test_afterwards_applies_to_all_later_requests(faulty_sts: FaultySts) -> None:
    faulty_sts.will(faulty.GRANTED, afterwards=faulty.DENIED)

    assert assume(faulty_sts.url)["AccessKeyId"] == "ASIA0000000000000001"
    assert [read_refusal(faulty_sts.url)[0] for _ in range(2)] == [403, 403]


def test_requests_are_recorded(faulty_sts: FaultySts) -> None:
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


def test_waiting_for_a_missing_request_times_out(faulty_sts: FaultySts) -> None:
    with pytest.raises(TimeoutError, match="0 of 1 requests came"):
        faulty_sts.await_requests(1, within_seconds=0.05)


def test_session_has_the_requested_duration(faulty_sts: FaultySts) -> None:
    life = assume(faulty_sts.url)["Expiration"] - datetime.now(UTC)

    assert timedelta(seconds=1790) < life <= timedelta(seconds=1800)


def test_session_expiration_can_be_set(faulty_sts: FaultySts) -> None:
    faulty_sts.will(faulty.Grant(expiration="2040-01-02T03:04:05Z"))

    assert assume(faulty_sts.url)["Expiration"] == datetime(2040, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_hanging_sts_makes_clients_time_out(faulty_sts: FaultySts) -> None:
    faulty_sts.will(faulty.HANGING)

    with pytest.raises(ReadTimeoutError):
        assume(faulty_sts.url, read_seconds=0.5)


def test_delayed_response_arrives_after_the_delay(faulty_sts: FaultySts) -> None:
    faulty_sts.will(faulty.Grant(delay_seconds=0.1))
    started = time.monotonic()

    credentials = assume(faulty_sts.url)

    assert credentials["SessionToken"] == "token-1"
    assert time.monotonic() - started >= 0.1


@pytest.mark.parametrize("fault", [faulty.GARBAGE, faulty.EMPTY], ids=["html", "empty"])
def test_raw_body_is_returned_unchanged(faulty_sts: FaultySts, fault: faulty.Fault) -> None:
    faulty_sts.will(fault)
    request = urllib.request.Request(faulty_sts.url, data=b"Action=AssumeRoleWithWebIdentity")

    with urllib.request.urlopen(request) as response:
        assert (response.status, response.read().decode()) == (200, fault.body)
