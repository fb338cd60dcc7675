"""When to ask STS again, and what may be answered meanwhile: pure values and functions, the clock passed in.

Times are seconds since the epoch by the clock of this machine; `jitter` is a random number from 0 to 1, passed in as
well. A clock that is set while this runs is taken in by `shift_clock`.
"""

from dataclasses import dataclass, replace

from sidecar.credentials.credentials import Credentials

EARLY_SHARE = 0.1
"""Each refresh comes up to this share of its wait early, so that pods that started together part ways."""

HANDED_OUT_LEAST_SECONDS = 15 * 60
"""No client gets less life than this while STS works: SDKs ask again and again from about here on, and Java fails."""

FETCH_LONGEST_SECONDS = 60
"""What a refresh may take, and the longest sleep before it, until the old credentials come under that."""

REFRESH_SOONEST_SECONDS = 60
"""After a success STS is left alone for so long, whatever end it gave: credentials born dead must not make a loop."""

ATTEMPTS = 3
"""How often one refresh asks within seconds, to bridge what passes at once."""

RETRY_FIRST_SECONDS = 2
RETRY_LONGEST_SECONDS = 60
REFUSED_RETRY_SECONDS = 60
"""A refusal is repaired by a person (a trust policy, a role), and IAM takes seconds to minutes to spread the repair."""


@dataclass(frozen=True)
class Failure:
    """Why STS gave no credentials."""

    code: str
    """STS's own error code, or one word for what happened before STS was reached."""

    message: str
    is_permanent: bool
    """Whether the same question will get the same answer until a person changes something."""

    is_chained: bool = False
    """Whether it was a role that asked for another one, and not the pod's web identity."""


@dataclass(frozen=True)
class State:
    """What is known about the role's credentials. Replaced as a whole, never changed: a reader sees no half of it."""

    refresh_at: float
    credentials: Credentials | None = None
    failure: Failure | None = None
    """The last answer when it was not a success."""

    failures: int = 0
    """In a row."""

    failed_at: float | None = None
    """When the last answer came, if it was not a success."""

    @property
    def attempts(self) -> int:
        """How often the next refresh asks: once after a failure, or a fleet in an outage would ask threefold."""
        return 1 if self.failures else ATTEMPTS

    def servable(self, now: float) -> Credentials | Failure | None:
        """What a client may be told: credentials that still live, else STS's refusal for good, else nothing."""
        if self.credentials and self.credentials.is_servable(now):
            return self.credentials
        return self.failure if self.failure and self.failure.is_permanent else None


def initial_state(kept: Credentials | None, now: float, jitter: float) -> State:
    """Where a process starts: with credentials that an earlier one of this pod left, if they still live, or at once."""
    return state_with(kept, jitter) if kept and kept.is_servable(now) else State(refresh_at=now)


def next_state(state: State, outcome: Credentials | Failure, now: float, jitter: float) -> State:
    """Take in what one attempt brought. Credentials outlive failures: they are kept until they expire by themselves."""
    if isinstance(outcome, Credentials):
        return state_with(outcome, jitter)
    failures = state.failures + 1
    refresh_at = now + _retry_seconds(outcome, failures, jitter)
    return replace(state, failure=outcome, failures=failures, failed_at=now, refresh_at=refresh_at)


def state_with(credentials: Credentials, jitter: float) -> State:
    """Go on with credentials: due at half of their life, or a little before."""
    life = credentials.ends_at - credentials.obtained_at
    latest = life - HANDED_OUT_LEAST_SECONDS - FETCH_LONGEST_SECONDS
    # A session under half an hour cannot keep both rules: then STS's rate limit is what is kept.
    wait = min(life / 2, latest) if life >= 2 * HANDED_OUT_LEAST_SECONDS else life / 2
    early = EARLY_SHARE * jitter * wait
    return State(credentials.obtained_at + max(REFRESH_SOONEST_SECONDS, wait - early), credentials)


def shift_clock(state: State, step_seconds: float) -> State:
    """Take in that the clock was set by so many seconds; nothing may live longer or wait longer through that.

    Set back: all times move with it. Set forward: none does, as that may be the end of a pause in which the machine
    stood still and STS's clock did not. Where it was not, the price is one refresh that comes early.
    """
    if step_seconds >= 0:
        return state
    return replace(
        state,
        refresh_at=state.refresh_at + step_seconds,
        credentials=state.credentials and state.credentials.shift_clock(step_seconds),
        failed_at=state.failed_at and state.failed_at + step_seconds,
    )


def _retry_seconds(failure: Failure, failures: int, jitter: float) -> float:
    longest = min(RETRY_LONGEST_SECONDS, RETRY_FIRST_SECONDS * 2.0 ** min(failures - 1, 10))
    if failure.is_permanent:
        longest = REFUSED_RETRY_SECONDS
    # Anywhere in the second half of the wait: after an outage a fleet must not come back in one second.
    return longest * (0.5 + 0.5 * jitter)
