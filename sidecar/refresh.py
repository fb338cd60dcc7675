"""When to ask STS again, and what may be answered meanwhile: pure values and functions, the clock passed in.

Times are seconds since the epoch; `jitter` is a random number from 0 to 1, passed in as well.
"""

from dataclasses import dataclass, replace

from sidecar.credentials import Credentials

EARLY_SHARE = 0.1
"""Each refresh comes up to this share of its wait early, so that pods that started together part ways."""

RETRY_FIRST_SECONDS = 2
RETRY_LONGEST_SECONDS = 60
REFUSED_RETRY_SECONDS = 60
"""A refusal is repaired by a person (a trust policy, a role): asking more often helps nobody."""


@dataclass(frozen=True)
class Failure:
    """Why STS gave no credentials."""

    code: str
    """STS's own error code, or one word for what happened before STS was reached."""

    message: str
    is_final: bool
    """Whether the same question will get the same answer until a person changes something."""


@dataclass(frozen=True)
class State:
    """What is known about the role's credentials. Replaced as a whole, never changed: a reader sees no half of it."""

    refresh_at: float
    credentials: Credentials | None = None
    failure: Failure | None = None
    """The last answer when it was not a success."""

    failures: int = 0
    """In a row."""

    def find_answer(self, now: float) -> Credentials | Failure | None:
        """What a client may be told: credentials that still live, else STS's refusal for good, else nothing."""
        if self.credentials and self.credentials.is_servable(now):
            return self.credentials
        return self.failure if self.failure and self.failure.is_final else None


def advance(state: State, outcome: Credentials | Failure, now: float, jitter: float) -> State:
    """Take in what one attempt brought. Credentials outlive failures: they are kept until they expire by themselves."""
    if isinstance(outcome, Credentials):
        wait = (outcome.expires_at - now) / 2
        return State(refresh_at=now + wait * (1 - EARLY_SHARE * jitter), credentials=outcome)
    failures = state.failures + 1
    return replace(
        state, failure=outcome, failures=failures, refresh_at=now + _retry_seconds(outcome, failures, jitter)
    )


def _retry_seconds(failure: Failure, failures: int, jitter: float) -> float:
    if failure.is_final:
        return REFUSED_RETRY_SECONDS * (1 - EARLY_SHARE * jitter)
    longest = min(RETRY_LONGEST_SECONDS, RETRY_FIRST_SECONDS * 2.0 ** min(failures - 1, 10))
    # Anywhere in the second half of the wait: after an outage a fleet must not come back in one second.
    return longest * (0.5 + 0.5 * jitter)
