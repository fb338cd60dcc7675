"""When two clocks agree, and the sentence about those that do not."""

import pytest

from injector.certs.cluster_clock import MAX_SKEW_SECONDS, ClusterClock
from injector.certs.x509 import BACKDATED_SECONDS, DAY_SECONDS

NOW = 1_795_000_000.0


@pytest.mark.parametrize(
    ("seconds", "problem"),
    [
        pytest.param(MAX_SKEW_SECONDS, "", id="ahead-within-the-limit"),
        pytest.param(-MAX_SKEW_SECONDS, "", id="behind-within-the-limit"),
        pytest.param(301, "the clock of this node is 301 s ahead of the API server's", id="seconds-ahead"),
        pytest.param(-3600, "the clock of this node is 3600 s behind the API server's", id="an-hour-behind"),
        pytest.param(-100 * DAY_SECONDS, "the clock of this node is 100 days behind", id="days-behind"),
        pytest.param(11 * 365 * DAY_SECONDS, "the clock of this node is 4015 days ahead of", id="years-ahead"),
    ],
)
def test_clock_that_is_too_far_off_is_a_problem_with_its_size(seconds: float, problem: str) -> None:
    clock = ClusterClock(lambda: NOW + seconds, lambda: NOW)

    assert clock.describe_problem().startswith(problem)
    assert bool(clock.describe_problem()) == bool(problem) != clock.is_right()
    assert clock.skew() == seconds
    assert (clock.now(), clock.is_server_time) == (NOW, True)


def test_without_the_time_of_the_api_server_the_own_clock_counts() -> None:
    clock = ClusterClock(lambda: NOW, lambda: None)

    assert clock.is_right()
    assert clock.describe_problem() == ""
    assert clock.skew() is None
    assert (clock.now(), clock.is_server_time) == (NOW, False)


def test_problem_is_the_same_sentence_until_it_is_over() -> None:
    own = [NOW]
    clock = ClusterClock(lambda: own[0], lambda: NOW)
    said = []
    for error in (400, 500, 1, 600):
        own[0] = NOW + error
        said.append(clock.describe_problem())

    assert said[0] == said[1]
    assert said[2] == ""
    assert "600 s" in said[3]


def test_problem_with_one_of_several_api_servers_is_the_same_sentence_each_time() -> None:
    own = [NOW]
    clock = ClusterClock(lambda: own[0], lambda: NOW)
    said = []
    for error in (3599.6, 0, 3600.4, 0, 3601, 0, -3600):
        own[0] = NOW + error
        said.append(clock.describe_problem())

    assert said[0] == said[2] == said[4]
    assert said[1] == said[3] == said[5] == ""
    assert "3600 s behind" in said[6]


def test_certificate_that_one_clock_dates_is_valid_by_the_other() -> None:
    assert MAX_SKEW_SECONDS <= BACKDATED_SECONDS
