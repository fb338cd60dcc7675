"""When to refresh the credentials, and what clients get until then: pure values and functions.

Times are seconds since the epoch by this machine's clock; `jitter` is a random number from 0 to 1. Both are passed in.
"""

from typing import NamedTuple

from sidecar.credentials.credentials import Credentials
from sidecar.deadlines import MIN_REFRESH_SECONDS, PERMANENT_RETRY_SECONDS, RETRY_MAX_SECONDS, RETRY_MIN_SECONDS

REFRESH_SHARE = 0.5
"""A refresh comes after this share of the lifetime."""

JITTER_SHARE = 0.1
"""Each refresh comes up to this share of its wait early, so that pods that started together spread out."""

MIN_SERVED_LIFETIME_SECONDS = 15 * 60
"""While STS works, clients get credentials that live at least this long: SDKs start to refresh at about this point."""

MAX_FETCH_SECONDS = 60
"""Time for a refresh and the longest sleep before it, until the old credentials reach the minimum above."""

ATTEMPTS = 3
"""How often one refresh calls STS within seconds while errors are transient."""


class Failure(NamedTuple):
    """Why STS returned no credentials."""

    code: str
    """STS's error code, or our own for what failed before STS was reached."""

    message: str
    is_permanent: bool
    """Whether a retry fails until an operator changes the configuration."""

    is_chained: bool = False
    """Whether a role, and not the pod's web identity, called AssumeRole."""


class State(NamedTuple):
    """What is known about the role's credentials. Immutable: readers in other threads never see half of a change."""

    refresh_at: float
    credentials: Credentials | None = None
    failure: Failure | None = None
    """The last attempt's, if it failed."""

    failures: int = 0
    """Consecutive failed attempts."""

    failed_at: float | None = None
    """When the last attempt ended, if it failed."""

    @property
    def attempts(self) -> int:
        """How often the next refresh calls STS: once after a failure, so that a fleet does not multiply an outage."""
        return 1 if self.failures else ATTEMPTS

    def servable(self, now: float) -> Credentials | Failure | None:
        """Return what clients get: credentials that have not expired, else a permanent error, else None."""
        if self.credentials and self.credentials.is_servable(now):
            return self.credentials
        return self.failure if self.failure and self.failure.is_permanent else None


def initial_state(saved: Credentials | None, now: float, jitter: float) -> State:
    """Start with the credentials that an earlier process of this pod saved, if they are still valid."""
    return state_with(saved, jitter) if saved and saved.is_servable(now) else State(refresh_at=now)


def next_state(state: State, outcome: Credentials | Failure, now: float, jitter: float) -> State:
    """Apply the outcome of one attempt. A failure keeps existing credentials: they are served until they expire."""
    if isinstance(outcome, Credentials):
        return state_with(outcome, jitter)
    failures = state.failures + 1
    refresh_at = now + _retry_seconds(outcome, failures, jitter)
    return state._replace(failure=outcome, failures=failures, failed_at=now, refresh_at=refresh_at)


def state_with(credentials: Credentials, jitter: float) -> State:
    """Schedule the next refresh after REFRESH_SHARE of the lifetime, or a little before."""
    lifetime = credentials.ends_at - credentials.obtained_at
    latest = lifetime - MIN_SERVED_LIFETIME_SECONDS - MAX_FETCH_SECONDS
    wait = lifetime * REFRESH_SHARE
    # A session under half an hour cannot satisfy both minimums: then STS is called less often.
    if wait >= MIN_SERVED_LIFETIME_SECONDS:
        wait = min(wait, latest)
    early = JITTER_SHARE * jitter * wait
    return State(credentials.obtained_at + max(MIN_REFRESH_SECONDS, wait - early), credentials)


def shift_clock(state: State, jump_seconds: float) -> State:
    """Adjust the state after the clock was set. Nothing lives longer and no refresh comes later because of it.

    Set back: all times move with it. Set forward: none moves, as the machine may have been paused while STS's clock
    went on. If it was not paused, one refresh comes early.
    """
    if jump_seconds >= 0:
        return state
    return state._replace(
        refresh_at=state.refresh_at + jump_seconds,
        credentials=state.credentials and state.credentials.shift_clock(jump_seconds),
        failed_at=state.failed_at and state.failed_at + jump_seconds,
    )


def _retry_seconds(failure: Failure, failures: int, jitter: float) -> float:
    longest = min(RETRY_MAX_SECONDS, RETRY_MIN_SECONDS * 2.0 ** min(failures - 1, 10))
    if failure.is_permanent:
        longest = PERMANENT_RETRY_SECONDS
    # Spread over the second half of the wait: a fleet must not return within one second after an outage.
    return longest * (0.5 + 0.5 * jitter)
