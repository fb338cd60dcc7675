import pytest

from injector.webhook.cpu_budget import MAX_SAVED_SECONDS, SHARE, CpuBudget
from testing.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(1000)


def test_spent_budget_is_left_again_after_its_share_of_the_time(clock: Clock) -> None:
    budget = CpuBudget(clock)
    budget.spend(MAX_SAVED_SECONDS + 1)
    before = budget.is_left()
    clock.now += 1 / SHARE - 0.01
    still = budget.is_left()
    clock.now += 0.02

    assert (before, still, budget.is_left()) == (False, False, True)


def test_no_more_than_the_maximum_is_saved(clock: Clock) -> None:
    budget = CpuBudget(clock)
    clock.now += 1_000_000
    assert budget.is_left()

    budget.spend(MAX_SAVED_SECONDS)

    assert not budget.is_left()


def test_work_gets_at_most_its_share_of_a_minute(clock: Clock) -> None:
    budget = CpuBudget(clock)
    spent = 0.0
    end = clock.now + 60

    while clock.now < end:
        if budget.is_left():
            budget.spend(0.01)
            spent += 0.01
        clock.now += 0.01

    assert spent == pytest.approx(MAX_SAVED_SECONDS + 60 * SHARE, abs=0.1)
