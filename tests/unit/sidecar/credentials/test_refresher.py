"""The credential refresher, called step by step with fake clocks and outcomes."""

import json

import pytest

from sidecar.credentials.clocks import Clocks
from sidecar.credentials.credentials import EXPIRY_MARGIN_SECONDS, Credentials
from sidecar.credentials.refresher import CredentialRefresher
from sidecar.credentials.schedule import Failure, State, state_with
from sidecar.deadlines import MAX_SLEEP_SECONDS

NOW = 1_700_000_000.0
HOUR = 3600
REFUSED = Failure("AccessDenied", "Not authorized", is_permanent=True)
UNREACHABLE = Failure("EndpointConnectionError", "Could not connect", is_permanent=False)


def make_credentials(key_id: str) -> Credentials:
    return Credentials("arn:aws:iam::111122223333:role/reader", key_id, "secret", "token", int(NOW), int(NOW) + HOUR)


class FakeTime:
    """Fake clocks: a test lets time pass, and sets the realtime clock."""

    def __init__(self) -> None:
        self.boottime = 5000.0
        self.offset = NOW - 5000

    @property
    def clocks(self) -> Clocks:
        return Clocks(realtime=lambda: self.boottime + self.offset, boottime=lambda: self.boottime)

    def sleep_until(self, realtime: float) -> None:
        self.boottime = realtime - self.offset


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


def create_refresher(
    outcomes: list[Credentials | Failure], time: FakeTime, state: State | None = None
) -> tuple[CredentialRefresher, list[Credentials | Failure]]:
    """Return a refresher whose fetches return these outcomes, and the list of the remaining ones."""
    left = list(outcomes)
    return CredentialRefresher(lambda _attempts: left.pop(0), state, clocks=time.clocks), left


def test_chores_run_each_time_the_thread_wakes_up_after_a_due_refresh(
    time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresher, left = create_refresher([make_credentials("A")], time)
    happened: list[object] = []

    def sleep(seconds: float) -> None:
        happened.append(seconds)
        if len(happened) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr("sidecar.credentials.refresher.time.sleep", sleep)
    refresher.chores.append(lambda: happened.append(len(left)))

    with pytest.raises(KeyboardInterrupt):
        refresher.run()

    assert happened == [0, MAX_SLEEP_SECONDS, 0, MAX_SLEEP_SECONDS]


def test_first_refresh_is_immediate_and_the_next_when_due(time: FakeTime) -> None:
    refresher, left = create_refresher([make_credentials("A"), make_credentials("B")], time)

    refresher.refresh_if_due()
    time.sleep_until(refresher.state.refresh_at - 1)
    refresher.refresh_if_due()

    assert len(left) == 1
    assert refresher.state.credentials == make_credentials("A")


def test_ignored_times_are_logged_only_when_they_change(time: FakeTime, capsys: pytest.CaptureFixture[str]) -> None:
    right = make_credentials("A")
    wrong = right._replace(ignores_expiration=True)
    both = wrong._replace(ignores_date=True)
    refresher, _ = create_refresher([right, wrong, wrong, UNREACHABLE, wrong, both, right], time)

    for _ in range(7):
        time.sleep_until(refresher.state.refresh_at)
        refresher.refresh_if_due()
        refresher.state = refresher.state._replace(refresh_at=time.clocks.realtime())

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["times"] for line in lines if line["event"] == "sts-times-ignored"] == [
        "Expiration",
        "Expiration, Date",
        "none",
    ]


@pytest.mark.parametrize("back", [HOUR, 40 * 365 * 86400], ids=["an-hour", "years"])
def test_clock_set_back_after_the_child_read_it_does_not_prolong_the_credentials(time: FakeTime, back: int) -> None:
    def fetch(_attempts: int) -> Credentials:
        fetched = make_credentials("A")
        time.offset -= back
        return fetched

    refresher = CredentialRefresher(fetch, clocks=time.clocks)

    refresher.refresh_if_due()

    now = time.clocks.realtime()
    assert refresher.state.credentials
    assert refresher.state.credentials.ends_at - now == HOUR
    assert 0 < refresher.state.refresh_at - now <= HOUR / 2
    assert refresher.state.credentials.expires_at == NOW + HOUR


def test_refresh_replaces_the_state(time: FakeTime) -> None:
    refresher, _ = create_refresher([make_credentials("A"), make_credentials("B")], time)
    refresher.refresh_if_due()
    before = refresher.state

    time.sleep_until(before.refresh_at)
    refresher.refresh_if_due()

    assert before.credentials == make_credentials("A")
    assert refresher.state.credentials == make_credentials("B")


@pytest.mark.parametrize(
    ("outcome", "has_result"),
    [
        pytest.param(make_credentials("A"), True, id="credentials"),
        pytest.param(REFUSED, True, id="permanent-error"),
        pytest.param(UNREACHABLE, False, id="transient-error"),
    ],
)
def test_first_result_is_set_by_credentials_or_permanent_error(
    time: FakeTime, outcome: Credentials | Failure, *, has_result: bool
) -> None:
    refresher, _ = create_refresher([outcome], time)

    refresher.refresh_if_due()

    assert refresher.first_result.is_set() == has_result


def test_first_result_is_set_after_the_observers_have_saved_it(time: FakeTime) -> None:
    refresher, _ = create_refresher([make_credentials("A")], time)
    observed = []
    refresher.observers.append(lambda *_: observed.append(refresher.first_result.is_set()))

    refresher.refresh_if_due()

    assert observed == [False]
    assert refresher.first_result.is_set()


def test_first_result_is_set_by_saved_credentials(time: FakeTime) -> None:
    refresher, left = create_refresher([UNREACHABLE], time, state_with(make_credentials("A"), 0))

    refresher.refresh_if_due()

    assert refresher.first_result.is_set()
    assert left == [UNREACHABLE]


def test_attempts_drop_to_one_after_a_failure(time: FakeTime) -> None:
    attempts_of_calls = []

    def fetch(attempts: int) -> Failure:
        attempts_of_calls.append(attempts)
        return UNREACHABLE

    refresher = CredentialRefresher(fetch, clocks=time.clocks)
    refresher.refresh_if_due()
    time.sleep_until(refresher.state.refresh_at)
    refresher.refresh_if_due()

    assert attempts_of_calls == [3, 1]


def test_observer_is_called_with_outcome_and_new_state(time: FakeTime) -> None:
    observed = []
    outcomes: list[Credentials | Failure] = [UNREACHABLE, make_credentials("A")]
    refresher = CredentialRefresher(
        lambda _: outcomes.pop(0),
        observers=[lambda outcome, state: observed.append((outcome, state.failures))],
        clocks=time.clocks,
    )

    refresher.refresh_if_due()
    time.sleep_until(refresher.state.refresh_at)
    refresher.refresh_if_due()

    assert observed == [(UNREACHABLE, 1), (make_credentials("A"), 0)]


def test_clock_set_forward_is_noticed_within_30_s_and_costs_one_call(time: FakeTime) -> None:
    ahead = make_credentials("B")._replace(obtained_at=int(NOW) + 7 * 24 * HOUR, clock_ahead_seconds=7 * 24 * HOUR)
    refresher, left = create_refresher([make_credentials("A"), ahead, UNREACHABLE], time)
    refresher.refresh_if_due()

    assert refresher.seconds_to_sleep() == MAX_SLEEP_SECONDS
    time.offset += 7 * 24 * HOUR
    assert refresher.seconds_to_sleep() == 0
    refresher.refresh_if_due()
    refresher.refresh_if_due()

    assert left == [UNREACHABLE]
    assert refresher.state.servable(time.clocks.realtime()) == ahead


def test_clock_set_back_delays_no_refresh_and_extends_no_credentials(time: FakeTime) -> None:
    refresher, left = create_refresher([make_credentials("A"), UNREACHABLE, UNREACHABLE], time)
    refresher.refresh_if_due()
    due = time.boottime + (refresher.state.refresh_at - time.clocks.realtime())

    time.offset -= 5 * HOUR
    time.boottime += MAX_SLEEP_SECONDS
    refresher.refresh_if_due()
    time.boottime = due
    refresher.refresh_if_due()

    assert len(left) == 1
    time.boottime += HOUR
    assert refresher.state.servable(time.clocks.realtime()) is None


def test_clock_set_back_before_expiry_serves_no_expired_credentials(time: FakeTime) -> None:
    refresher, _ = create_refresher([make_credentials("A"), UNREACHABLE, UNREACHABLE], time)
    refresher.refresh_if_due()
    time.boottime += HOUR - EXPIRY_MARGIN_SECONDS - 1
    refresher.refresh_if_due()
    began = time.boottime

    time.offset -= 5 * HOUR
    time.boottime += MAX_SLEEP_SECONDS
    still = refresher.state.servable(time.clocks.realtime())
    refresher.refresh_if_due()

    assert still == make_credentials("A")
    assert time.boottime - began < EXPIRY_MARGIN_SECONDS
    assert refresher.state.servable(time.clocks.realtime()) is None


def test_clock_set_during_a_fetch_is_noticed_before_scheduling(time: FakeTime) -> None:
    def fetch(_attempts: int) -> Failure:
        time.offset -= 5 * HOUR
        return UNREACHABLE

    refresher = CredentialRefresher(fetch, clocks=time.clocks)

    refresher.refresh_if_due()

    assert 1 <= refresher.state.refresh_at - time.clocks.realtime() <= 2


def test_suspended_node_serves_no_expired_credentials_and_refreshes_once(time: FakeTime) -> None:
    """The boot-time clock includes suspend, like the realtime clock."""
    refresher, left = create_refresher([make_credentials("A"), UNREACHABLE, UNREACHABLE], time)
    refresher.refresh_if_due()

    time.boottime += 9 * HOUR
    found = refresher.state.servable(time.clocks.realtime())
    refresher.refresh_if_due()
    refresher.refresh_if_due()

    assert found is None
    assert len(left) == 1


def test_slowly_slewed_clock_is_followed(time: FakeTime) -> None:
    """chrony can slew by a twelfth of each second."""
    refresher, left = create_refresher([make_credentials("A"), *[UNREACHABLE] * 100], time)
    refresher.refresh_if_due()
    ends = time.boottime + HOUR

    while time.boottime < ends:
        time.offset -= 0.02 * MAX_SLEEP_SECONDS
        time.boottime += MAX_SLEEP_SECONDS
        refresher.refresh_if_due()

    assert len(left) < 100
    assert refresher.state.servable(time.clocks.realtime()) is None


def test_small_clock_corrections_change_nothing(time: FakeTime, capsys: pytest.CaptureFixture[str]) -> None:
    refresher, _ = create_refresher([make_credentials("A")], time)
    refresher.refresh_if_due()
    before = refresher.state

    for _ in range(50):
        time.offset -= 0.015
        time.boottime += MAX_SLEEP_SECONDS
        refresher.refresh_if_due()

    assert refresher.state == before
    assert "clock-jumped" not in capsys.readouterr().err


def test_clock_jump_is_logged(time: FakeTime, capsys: pytest.CaptureFixture[str]) -> None:
    refresher, _ = create_refresher([make_credentials("A")], time)
    refresher.refresh_if_due()
    capsys.readouterr()

    time.offset -= 2 * HOUR
    refresher.refresh_if_due()

    event = json.loads(capsys.readouterr().err)
    assert (event["event"], event["seconds"]) == ("clock-jumped", -7200)


def test_failure_is_logged_with_its_code_and_no_secret(time: FakeTime, capsys: pytest.CaptureFixture[str]) -> None:
    refresher, _ = create_refresher([make_credentials("ASIAEXAMPLE"), REFUSED], time)
    refresher.refresh_if_due()
    time.sleep_until(refresher.state.refresh_at)

    refresher.refresh_if_due()

    written = capsys.readouterr().err
    assert '"code": "AccessDenied", "message": "Not authorized"' in written
    assert "secret" not in written
