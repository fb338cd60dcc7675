"""The thread that refreshes, driven by hand: a clock that stands where the test puts it, and no STS."""

import pytest

from sidecar.background import WAKE_SECONDS, Background
from sidecar.credentials import Credentials
from sidecar.refresh import Failure

NOW = 1_700_000_000.0
REFUSED = Failure("AccessDenied", "Not authorized", is_final=True)
UNREACHABLE = Failure("EndpointConnectionError", "Could not connect", is_final=False)


def make_credentials(key_id: str) -> Credentials:
    return Credentials("arn:aws:iam::111122223333:role/reader", key_id, "secret", "token", int(NOW), int(NOW) + 3600)


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def run_through(outcomes: list[Credentials | Failure], clock: Clock) -> tuple[Background, list[Credentials | Failure]]:
    """A background whose fetches bring these outcomes, and the list of those that are still to come."""
    left = list(outcomes)
    return Background(lambda: left.pop(0), clock), left


def test_sts_is_asked_at_once_and_then_not_before_it_is_due(clock: Clock) -> None:
    background, left = run_through([make_credentials("A"), make_credentials("B")], clock)

    background.refresh_if_due()
    clock.now = background.state.refresh_at - 1
    background.refresh_if_due()

    assert len(left) == 1
    assert background.state.credentials == make_credentials("A")


def test_a_refresh_replaces_the_whole_document(clock: Clock) -> None:
    background, _ = run_through([make_credentials("A"), make_credentials("B")], clock)
    background.refresh_if_due()
    before = background.state

    clock.now = before.refresh_at
    background.refresh_if_due()

    assert before.credentials == make_credentials("A")
    assert background.state.credentials == make_credentials("B")


@pytest.mark.parametrize(
    ("outcome", "is_answer"), [(make_credentials("A"), True), (REFUSED, True), (UNREACHABLE, False)]
)
def test_the_start_waits_for_an_answer_and_not_for_a_failure(
    clock: Clock, outcome: Credentials | Failure, *, is_answer: bool
) -> None:
    background, _ = run_through([outcome], clock)

    background.refresh_if_due()

    assert background.answered.is_set() == is_answer


def test_a_clock_that_jumps_ahead_is_noticed_within_half_a_minute(clock: Clock) -> None:
    background, _ = run_through([make_credentials("A"), make_credentials("B")], clock)
    background.refresh_if_due()

    assert background.seconds_to_sleep() == WAKE_SECONDS
    clock.now += 7 * 24 * 3600
    assert background.seconds_to_sleep() == 0


def test_a_failure_is_logged_with_the_reason_and_without_a_secret(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    background, _ = run_through([make_credentials("ASIAEXAMPLE"), REFUSED], clock)
    background.refresh_if_due()
    clock.now = background.state.refresh_at

    background.refresh_if_due()

    written = capsys.readouterr().err
    assert '"code": "AccessDenied", "message": "Not authorized"' in written
    assert "secret" not in written
