"""Attempts and the waits between them, compared with tenacity's."""

import pytest
from tenacity import RetryCallState, Retrying, wait_exponential_jitter

from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import ATTEMPTS, Failure
from sidecar.deadlines import STS_CHILD_SECONDS, STS_FIRST_RETRY_SECONDS, STS_LONGEST_RETRY_SECONDS
from sidecar.sts.retry import call_with_retries, random_share, wait_seconds
from sidecar.sts.web_identity import LIMITS

GRANTED = Credentials("arn:aws:iam::111122223333:role/reader", "A", "s", "t", 1_700_000_000, 1_700_003_600)
THROTTLED = Failure("Throttling", "Rate exceeded", is_permanent=False)
DENIED = Failure("AccessDenied", "no", is_permanent=True)
INVALID = Failure("InvalidIdentityToken", "no", is_permanent=True)


@pytest.mark.parametrize(
    ("outcomes", "attempts", "calls"),
    [
        pytest.param([GRANTED], 3, 1, id="success"),
        pytest.param([DENIED], 3, 1, id="permanent"),
        pytest.param([THROTTLED, GRANTED], 3, 2, id="transient-then-success"),
        pytest.param([THROTTLED, DENIED], 3, 2, id="transient-then-permanent"),
        pytest.param([THROTTLED] * 3, 3, 3, id="transient"),
        pytest.param([THROTTLED], 1, 1, id="one-attempt"),
        pytest.param([INVALID, GRANTED], 3, 2, id="once-more-then-success"),
        pytest.param([INVALID, INVALID], 3, 2, id="once-more-only"),
        pytest.param([INVALID], 1, 1, id="once-more-but-one-attempt"),
        pytest.param([THROTTLED, INVALID], 3, 2, id="once-more-only-after-the-first"),
    ],
)
def test_outcome_decides_about_the_next_attempt(
    outcomes: list[Credentials | Failure], attempts: int, calls: int
) -> None:
    left, waits = iter(outcomes), list[float]()

    outcome = call_with_retries(lambda: next(left), attempts, waits.append, lambda: 0.5)

    assert outcome == outcomes[-1]
    assert list(left) == []
    assert len(waits) == calls - 1


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 60])
def test_wait_is_tenacitys(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = wait_exponential_jitter(multiplier=STS_FIRST_RETRY_SECONDS, max=STS_LONGEST_RETRY_SECONDS)

    for jitter in (0.0, 0.25, 1.0):
        monkeypatch.setattr("tenacity.wait.random.uniform", lambda low, high, j=jitter: low + (high - low) * j)
        state = RetryCallState(Retrying(), None, (), {})
        state.attempt_number = number
        assert wait_seconds(number, jitter) == theirs(state)


def test_waits_are_slept_in_order() -> None:
    waits = list[float]()

    call_with_retries(lambda: THROTTLED, 4, waits.append, lambda: 0.0)

    assert waits == [0.2, 0.4, 0.8]


def test_random_share_is_from_0_to_1_and_varies() -> None:
    shares = {random_share() for _ in range(100)}

    assert all(0 <= share <= 1 for share in shares)
    assert len(shares) > 50


def test_all_attempts_end_before_the_child_is_killed() -> None:
    longest = ATTEMPTS * LIMITS.total_seconds + sum(wait_seconds(number, 1) for number in range(1, ATTEMPTS))

    assert longest < STS_CHILD_SECONDS - 1
