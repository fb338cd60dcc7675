import pytest

from injector.deadlines import RESTART_DELAYS_SECONDS
from injector.restarts import STABLE_SECONDS, Restarts


def next_delays(*lives: float) -> list[float]:
    """The delay of the first worker, and of each that starts after one that lived so many seconds."""
    restarts, now = Restarts(), 1000.0
    delays = [restarts.next_delay(now)]
    for life in lives:
        now += delays[-1] + life
        delays.append(restarts.next_delay(now))
    return delays


@pytest.mark.parametrize(
    ("lives", "delays"),
    [
        pytest.param((), [0], id="first"),
        pytest.param((0,), [0, 0], id="one-early-death"),
        pytest.param((0,) * 7, [0, 0, 1, 2, 4, 8, 8, 8], id="early-deaths"),
        pytest.param((STABLE_SECONDS - 1,) * 3, [0, 0, 1, 2], id="almost-stable"),
        pytest.param((STABLE_SECONDS,) * 3, [0, 0, 0, 0], id="stable"),
        pytest.param((0, 0, 0, STABLE_SECONDS, 0, 0), [0, 0, 1, 2, 0, 0, 1], id="stable-between"),
    ],
)
def test_delay_grows_with_early_deaths_and_ends_with_a_stable_worker(
    lives: tuple[float, ...], delays: list[float]
) -> None:
    assert next_delays(*lives) == delays


def test_delay_never_exceeds_the_maximum() -> None:
    assert max(next_delays(*[0] * 2000)) == RESTART_DELAYS_SECONDS[-1]
