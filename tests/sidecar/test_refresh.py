"""When STS is asked again, and what clients are told meanwhile: no clock runs here."""

import pytest

from sidecar.credentials import Credentials
from sidecar.refresh import Failure, State, advance

NOW = 1_700_000_000
REFUSED = Failure("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", is_final=True)
UNREACHABLE = Failure("EndpointConnectionError", "Could not connect", is_final=False)


def make_credentials(obtained_at: int = NOW, lifetime: int = 3600) -> Credentials:
    return Credentials(
        role_arn="arn:aws:iam::111122223333:role/reader",
        access_key_id="ASIAEXAMPLE",
        secret_access_key="secret",
        session_token="token",
        obtained_at=obtained_at,
        expires_at=obtained_at + lifetime,
    )


def test_before_the_first_answer_there_is_nothing_to_tell() -> None:
    assert State(refresh_at=NOW).find_answer(NOW) is None


@pytest.mark.parametrize(("jitter", "wait"), [(0.0, 1800), (1.0, 1620)])
def test_a_refresh_comes_at_half_of_the_life_or_a_little_earlier(jitter: float, wait: int) -> None:
    state = advance(State(refresh_at=NOW), make_credentials(), NOW, jitter)

    assert state.refresh_at == NOW + wait


def test_credentials_outlive_a_failed_refresh() -> None:
    fresh = advance(State(refresh_at=NOW), make_credentials(), NOW, 0)

    state = advance(fresh, UNREACHABLE, NOW + 1800, 0)

    assert state.find_answer(NOW + 1801) == make_credentials()
    assert state.find_answer(NOW + 3539) == make_credentials()


def test_credentials_outlive_a_refusal() -> None:
    fresh = advance(State(refresh_at=NOW), make_credentials(), NOW, 0)

    state = advance(fresh, REFUSED, NOW + 1800, 0)

    assert state.find_answer(NOW + 1801) == make_credentials()


def test_expired_credentials_are_told_to_nobody() -> None:
    fresh = advance(State(refresh_at=NOW), make_credentials(), NOW, 0)

    state = advance(fresh, UNREACHABLE, NOW + 1800, 0)

    assert state.find_answer(NOW + 3540) is None
    assert state.find_answer(NOW + 36000) is None


def test_after_their_end_the_refusal_is_told() -> None:
    fresh = advance(State(refresh_at=NOW), make_credentials(), NOW, 0)

    state = advance(fresh, REFUSED, NOW + 1800, 0)

    assert state.find_answer(NOW + 3600) == REFUSED


def test_a_passing_failure_is_not_told_as_a_refusal() -> None:
    assert advance(State(refresh_at=NOW), UNREACHABLE, NOW, 0).find_answer(NOW) is None


def test_passing_failures_are_retried_ever_later_up_to_a_minute() -> None:
    state = State(refresh_at=NOW)
    waits = []

    for _ in range(12):
        state = advance(state, UNREACHABLE, NOW, 1)
        waits.append(state.refresh_at - NOW)

    assert waits[:5] == [2, 4, 8, 16, 32]
    assert set(waits[5:]) == {60}


def test_a_fleet_spreads_its_retries_over_half_a_minute() -> None:
    state = State(refresh_at=NOW, failures=20)

    earliest, latest = (advance(state, UNREACHABLE, NOW, jitter).refresh_at for jitter in (0, 1))

    assert latest - earliest == 30


def test_a_refusal_is_asked_about_once_a_minute() -> None:
    state = advance(State(refresh_at=NOW), REFUSED, NOW, 0)

    assert state.refresh_at == NOW + 60


def test_a_success_forgets_the_failures_before_it() -> None:
    failing = advance(State(refresh_at=NOW), REFUSED, NOW, 0)

    state = advance(failing, make_credentials(NOW + 60), NOW + 60, 0)

    assert state.failure is None
    assert state.failures == 0
    assert state.find_answer(NOW + 61) == make_credentials(NOW + 60)
