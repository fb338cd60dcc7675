"""The refresh schedule and what clients get until the next refresh, without clocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import ATTEMPTS, Failure, State, initial_state, next_state, shift_clock, state_with

NOW = 1_700_000_000
HOUR = 3600
REFUSED = Failure("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", is_permanent=True)
UNREACHABLE = Failure("EndpointConnectionError", "Could not connect", is_permanent=False)


def make_credentials(obtained_at: int = NOW, lifetime: int = HOUR) -> Credentials:
    return Credentials(
        role_arn="arn:aws:iam::111122223333:role/reader",
        access_key_id="ASIAEXAMPLE",
        secret_access_key="secret",
        session_token="token",
        obtained_at=obtained_at,
        expires_at=obtained_at + lifetime,
    )


def test_initial_state_serves_nothing() -> None:
    assert State(refresh_at=NOW).servable(NOW) is None


@pytest.mark.parametrize(("jitter", "wait"), [(0.0, 1800), (1.0, 1620)])
def test_refresh_is_due_at_half_of_the_lifetime_minus_jitter(jitter: float, wait: int) -> None:
    state = next_state(State(refresh_at=NOW), make_credentials(), NOW, jitter)

    assert state.refresh_at == NOW + wait


@pytest.mark.parametrize("lifetime", [1800, 2400, 3600, 43200])
def test_refresh_is_due_a_minute_before_15_minutes_are_left(lifetime: int) -> None:
    state = next_state(State(refresh_at=NOW), make_credentials(lifetime=lifetime), NOW, 0)

    assert NOW + lifetime - state.refresh_at >= 15 * 60 + 60


def test_shortest_session_is_refreshed_at_half_of_its_lifetime() -> None:
    assert next_state(State(refresh_at=NOW), make_credentials(lifetime=900), NOW, 0).refresh_at == NOW + 450


@pytest.mark.parametrize("lifetime", [-7200, 0, 1, 60])
def test_already_expired_credentials_do_not_cause_a_refresh_loop(lifetime: int) -> None:
    state = next_state(State(refresh_at=NOW), make_credentials(lifetime=lifetime), NOW, 1)

    assert state.refresh_at == NOW + 60
    assert state.servable(NOW) is None


def test_credentials_survive_a_transient_error() -> None:
    fresh = next_state(State(refresh_at=NOW), make_credentials(), NOW, 0)

    state = next_state(fresh, UNREACHABLE, NOW + 1800, 0)

    assert state.servable(NOW + 1801) == make_credentials()
    assert state.servable(NOW + 3539) == make_credentials()


def test_credentials_survive_a_permanent_error() -> None:
    fresh = next_state(State(refresh_at=NOW), make_credentials(), NOW, 0)

    state = next_state(fresh, REFUSED, NOW + 1800, 0)

    assert state.servable(NOW + 1801) == make_credentials()


def test_expired_credentials_are_not_served() -> None:
    fresh = next_state(State(refresh_at=NOW), make_credentials(), NOW, 0)

    state = next_state(fresh, UNREACHABLE, NOW + 1800, 0)

    assert state.servable(NOW + 3540) is None
    assert state.servable(NOW + 36000) is None


def test_permanent_error_is_served_after_credentials_expire() -> None:
    fresh = next_state(State(refresh_at=NOW), make_credentials(), NOW, 0)

    state = next_state(fresh, REFUSED, NOW + 1800, 0)

    assert state.servable(NOW + 3600) == REFUSED


def test_transient_error_is_not_served() -> None:
    assert next_state(State(refresh_at=NOW), UNREACHABLE, NOW, 0).servable(NOW) is None


def test_transient_errors_are_retried_with_exponential_backoff() -> None:
    state = State(refresh_at=NOW)
    waits = []

    for _ in range(12):
        state = next_state(state, UNREACHABLE, NOW, 1)
        waits.append(state.refresh_at - NOW)

    assert waits[:5] == [2, 4, 8, 16, 32]
    assert set(waits[5:]) == {60}


@pytest.mark.parametrize(
    "failure", [pytest.param(UNREACHABLE, id="transient-error"), pytest.param(REFUSED, id="permanent-error")]
)
def test_retries_are_spread_over_half_a_minute(failure: Failure) -> None:
    state = State(refresh_at=NOW, failures=20)

    earliest, latest = (next_state(state, failure, NOW, jitter).refresh_at for jitter in (0, 1))

    assert (earliest, latest) == (NOW + 30, NOW + 60)


def test_first_permanent_error_is_retried_after_30_s() -> None:
    assert next_state(State(refresh_at=NOW), REFUSED, NOW, 0).refresh_at == NOW + 30


def test_attempts_per_refresh_depend_on_the_last_outcome() -> None:
    failing = next_state(State(refresh_at=NOW), UNREACHABLE, NOW, 0)

    assert State(refresh_at=NOW).attempts == ATTEMPTS
    assert failing.attempts == 1
    assert next_state(failing, make_credentials(), NOW, 0).attempts == ATTEMPTS


def test_success_resets_the_failures() -> None:
    failing = next_state(State(refresh_at=NOW), REFUSED, NOW, 0)

    state = next_state(failing, make_credentials(NOW + 60), NOW + 60, 0)

    assert failing.failed_at == NOW
    assert (state.failure, state.failures, state.failed_at) == (None, 0, None)
    assert state.servable(NOW + 61) == make_credentials(NOW + 60)


class TestInitialState:
    def test_without_saved_credentials_refresh_is_due_at_once(self) -> None:
        assert initial_state(None, NOW, 0) == State(refresh_at=NOW)

    def test_valid_saved_credentials_are_served_and_not_refreshed(self) -> None:
        state = initial_state(make_credentials(), NOW + 600, 0)

        assert state.servable(NOW + 600) == make_credentials()
        assert state.refresh_at == NOW + 1800

    def test_saved_credentials_past_half_of_their_lifetime_are_served_and_due(self) -> None:
        state = initial_state(make_credentials(), NOW + 3000, 0)

        assert state.servable(NOW + 3000) == make_credentials()
        assert state.refresh_at < NOW + 3000

    def test_expired_saved_credentials_are_dropped(self) -> None:
        assert initial_state(make_credentials(), NOW + 3540, 0) == State(refresh_at=NOW + 3540)


class TestShiftClock:
    def test_set_back_moves_refresh_and_expiry(self) -> None:
        state = shift_clock(state_with(make_credentials(), 0), -2 * HOUR)

        assert state.refresh_at == NOW - 2 * HOUR + 1800
        assert state.servable(NOW - 2 * HOUR + 3539) is not None
        assert state.servable(NOW - 2 * HOUR + 3540) is None

    def test_set_back_moves_retry_in_an_outage(self) -> None:
        failing = next_state(state_with(make_credentials(), 0), UNREACHABLE, NOW + 1800, 1)

        state = shift_clock(failing, -2 * HOUR)

        assert state.refresh_at == NOW + 1800 - 2 * HOUR + 2
        assert state.failed_at == NOW + 1800 - 2 * HOUR

    def test_set_back_keeps_first_refresh_due(self) -> None:
        assert shift_clock(State(refresh_at=NOW), -2 * HOUR) == State(refresh_at=NOW - 2 * HOUR)

    def test_set_forward_past_expiry_serves_nothing_and_refreshes_once(self) -> None:
        state = shift_clock(state_with(make_credentials(), 0), 2 * HOUR)
        now = NOW + 10 + 2 * HOUR

        assert state.servable(now) is None
        assert state.refresh_at <= now
        # The new credentials were obtained by the current clock, two hours ahead of STS's.
        fresh = make_credentials(now)._replace(expires_at=NOW + 10 + HOUR, clock_ahead_seconds=2 * HOUR)
        renewed = next_state(state, fresh, now, 0)
        assert renewed.servable(now) == fresh
        assert renewed.refresh_at == now + 1800


OUTCOMES = st.one_of(
    st.just(UNREACHABLE), st.just(REFUSED), st.integers(-7200, 43200).map(lambda life: ("granted", life))
)


@given(
    st.lists(st.tuples(OUTCOMES, st.floats(0, 1), st.floats(0, 7200), st.floats(-7200, 7200)), min_size=1, max_size=30)
)
def test_random_outcomes_and_clocks_never_serve_expired_credentials_or_skip_refreshes(
    steps: list[tuple[Failure | tuple[str, int], float, float, float]],
) -> None:
    """Each step is an outcome, a jitter, a pause of the machine and a jump of its clock. `true` is STS's clock."""
    true, ahead, state = float(NOW), 0.0, State(refresh_at=float(NOW))
    for event, jitter, pause, jump in steps:
        outcome = event if isinstance(event, Failure) else build_credentials(true, ahead, event[1])
        state = next_state(state, outcome, true + ahead, jitter)
        attempted_at, wait = true, state.refresh_at - (true + ahead)
        assert 1 <= wait <= max(21600, 60)
        ahead += jump
        state = shift_clock(state, jump)
        true += pause
        found = state.servable(true + ahead)
        if isinstance(found, Credentials):
            assert found.expires_at > true
        assert state.refresh_at - (attempted_at + ahead) <= wait + 1
        true = max(true, state.refresh_at - ahead)


def build_credentials(true: float, ahead: float, lifetime: int) -> Credentials:
    granted = make_credentials(int(true), lifetime)
    return granted._replace(obtained_at=int(true + ahead), clock_ahead_seconds=round(ahead))
