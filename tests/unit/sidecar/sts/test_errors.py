"""Every known error of STS: its retries, the next refresh, and what clients get."""

import time
from email.utils import formatdate
from pathlib import Path

import pytest

from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import ATTEMPTS, Failure, State, next_state
from sidecar.sts import __main__
from sidecar.sts.errors import classify
from sidecar.sts.hints import HINTS, PERMANENT, TRANSIENT, find_hint
from sidecar.time_format import format_time
from testing.hostile_text import HOSTILE
from testing.services.faulty_sts import KEYS_UNFETCHED, Fault, FaultySts, Grant, StsRequest, build_error
from testing.sidecars import build_environ

NOW = 1_700_000_000.0
MESSAGE = "as STS words it"

TRANSIENT_CODES = {
    "ExpiredTokenException": 400,
    "IDPCommunicationError": 400,
    "Throttling": 400,
    "ThrottlingException": 400,
    "RequestThrottled": 400,
    "RequestThrottledException": 400,
    "RequestLimitExceeded": 400,
    "SlowDown": 400,
    "TooManyRequests": 429,
    "TooManyRequestsException": 400,
    "RequestTimeout": 400,
    "InternalFailure": 500,
    "BadGateway": 502,
    "ServiceUnavailable": 503,
    "GatewayTimeout": 504,
}
"""Retried at once, then with exponential backoff."""

PERMANENT_CODES = {
    "IDPRejectedClaim": 403,
    "AccessDenied": 403,
    "RegionDisabledException": 403,
    "MalformedPolicyDocument": 400,
    "PackedPolicyTooLarge": 400,
    "ValidationError": 400,
    "InvalidClientTokenId": 403,
    "SignatureDoesNotMatch": 403,
    "UnrecognizedClient": 403,
}
"""Not retried at once, then every 30 to 60 s."""


def fetch(config: Config, attempts: int) -> Credentials | Failure:
    """Fetch without the waits between attempts."""
    return __main__.fetch(config, attempts, sleep=lambda _seconds: None)


@pytest.fixture
def config(faulty_sts: FaultySts, tmp_path: Path) -> Config:
    (tmp_path / "token").write_text("to.ke.n")
    return Config.from_environ(build_environ(tmp_path, faulty_sts.url))


def build_cases(table: dict[str, int]) -> list[object]:
    return [pytest.param(code, status) for code, status in table.items()]


@pytest.mark.parametrize(("code", "status"), build_cases(TRANSIENT_CODES))
def test_transient_error_is_retried_at_once_then_with_backoff(
    faulty_sts: FaultySts, config: Config, code: str, status: int
) -> None:
    faulty_sts.will(afterwards=build_error(status, code, MESSAGE))

    outcome = fetch(config, ATTEMPTS)

    assert outcome == Failure(code, MESSAGE, is_permanent=False)
    assert len(faulty_sts.requests) == ATTEMPTS
    state = next_state(State(refresh_at=NOW), outcome, NOW, 1)
    assert state.refresh_at - NOW == 2
    assert state.servable(NOW) is None


@pytest.mark.parametrize(("code", "status"), build_cases(PERMANENT_CODES))
def test_permanent_error_is_not_retried_at_once_and_is_served(
    faulty_sts: FaultySts, config: Config, code: str, status: int
) -> None:
    faulty_sts.will(afterwards=build_error(status, code, MESSAGE))

    outcome = fetch(config, ATTEMPTS)

    assert outcome == Failure(code, MESSAGE, is_permanent=True)
    assert len(faulty_sts.requests) == 1
    state = next_state(State(refresh_at=NOW), outcome, NOW, 0)
    assert state.refresh_at - NOW == 30
    assert state.servable(NOW) == outcome


def test_invalid_identity_token_is_retried_once_then_permanent(faulty_sts: FaultySts, config: Config) -> None:
    faulty_sts.will(afterwards=build_error(400, "InvalidIdentityToken", MESSAGE))

    outcome = fetch(config, ATTEMPTS)

    assert outcome == Failure("InvalidIdentityToken", MESSAGE, is_permanent=True)
    assert len(faulty_sts.requests) == 2


def test_keys_that_sts_could_not_fetch_are_a_transient_error_with_its_own_hint(
    faulty_sts: FaultySts, config: Config
) -> None:
    faulty_sts.will(afterwards=KEYS_UNFETCHED)

    outcome = fetch(config, ATTEMPTS)

    assert isinstance(outcome, Failure)
    assert (outcome.code, outcome.is_permanent) == ("InvalidIdentityToken", False)
    assert len(faulty_sts.requests) == ATTEMPTS
    assert find_hint(outcome).startswith("STS could not fetch the issuer's keys.")


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("Incorrect token audience", id="audience"),
        pytest.param("No OpenIDConnect provider found in your account for https://issuer.example", id="no-provider"),
        pytest.param("https://issuer.example says: Couldn't retrieve verification key", id="words-of-the-issuer"),
        pytest.param("", id="empty"),
    ],
)
def test_other_invalid_identity_token_is_permanent(message: str) -> None:
    assert classify("InvalidIdentityToken", message, 400).is_permanent


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "http://[::1]:1"])
def test_unreachable_sts_is_a_transient_error(faulty_sts: FaultySts, config: Config, endpoint: str) -> None:
    environ = build_environ(Path(config.token_file).parent, endpoint)

    outcome = fetch(Config.from_environ(environ), ATTEMPTS)

    assert isinstance(outcome, Failure)
    assert outcome.code == "EndpointConnectionError"
    assert not outcome.is_permanent
    assert faulty_sts.requests == []


@pytest.mark.parametrize("status", [403, 407, 500, 502, 503, 504])
def test_html_error_of_a_proxy_is_retried(faulty_sts: FaultySts, config: Config, status: int) -> None:
    faulty_sts.will(Fault(status, "<html>upstream is away</html>"))

    assert not isinstance(fetch(config, ATTEMPTS), Failure)
    assert len(faulty_sts.requests) == 2


@pytest.mark.parametrize("ahead", [-7200, 7200])
def test_credentials_have_the_right_lifetime_with_a_wrong_clock(
    faulty_sts: FaultySts, config: Config, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test sets the clock of the fake STS."""
    true = time.time() - ahead
    monkeypatch.setattr(StsRequest, "date_time_string", lambda *_: formatdate(true, usegmt=True))
    faulty_sts.will(Grant(expiration=format_time(true + 3600)))

    outcome = fetch(config, ATTEMPTS)

    assert isinstance(outcome, Credentials)
    assert outcome.expires_at == int(true + 3600)
    assert abs(outcome.ends_at - (time.time() + 3600)) < 30
    assert 1500 < next_state(State(NOW), outcome, time.time(), 1).refresh_at - time.time() < 1800


@pytest.mark.parametrize("code", [*TRANSIENT_CODES, *PERMANENT_CODES, "InvalidIdentityToken"])
def test_failed_refresh_keeps_valid_credentials(code: str) -> None:
    credentials = Credentials("arn:aws:iam::111122223333:role/reader", "A", "s", "t", int(NOW), int(NOW) + 3600)

    state = next_state(
        State(NOW, credentials), Failure(code, MESSAGE, is_permanent=code not in TRANSIENT_CODES), NOW + 1800, 0
    )

    assert state.servable(NOW + 1800) == credentials


@pytest.mark.parametrize(
    "code", [*PERMANENT_CODES, "InvalidIdentityToken", "ExpiredTokenException", "IDPCommunicationError"]
)
def test_each_error_code_has_a_hint(code: str) -> None:
    hint = find_hint(Failure(code, MESSAGE, is_permanent=True))

    assert hint == HINTS.get(code, PERMANENT)
    assert hint.endswith(".")


def test_token_for_another_audience_has_a_hint_that_names_both_places_of_it() -> None:
    hint = find_hint(classify("InvalidIdentityToken", "Incorrect token audience", 400))

    assert "as a client id: add it there" in hint
    assert "eks.amazonaws.com/audience" in hint
    assert "PODROLE_AUDIENCE" in hint


def test_unknown_code_has_a_general_hint() -> None:
    assert find_hint(Failure("Novelty", MESSAGE, is_permanent=True)) == PERMANENT
    assert find_hint(Failure("Novelty", MESSAGE, is_permanent=False)) == TRANSIENT


def test_hostile_error_of_sts_is_printable_and_cut() -> None:
    failure = classify(HOSTILE, HOSTILE * 100, 400)

    for text, longest in ((failure.code, 128), (failure.message, 1024)):
        assert text.isascii()
        assert text.isprintable()
        assert len(text) <= longest + len("...")
