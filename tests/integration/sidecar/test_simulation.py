"""A fleet's month: what it asks of STS, and what its clients are given. The figures stand in docs/sidecar.md."""

import pytest

from tests.integration.sidecar.simulation import OUTAGES, Outage, Results, format_table, simulate


@pytest.fixture(scope="module")
def figures() -> Results:
    return simulate()


def test_a_thousand_pods_live_for_thirty_days(figures: Results) -> None:
    assert (figures.pods, figures.days) == (1000, 30)
    assert sum(figures.calls) > 1000 * 30 * 48


def test_a_pod_asks_sts_at_most_sixty_times_a_day(figures: Results) -> None:
    assert 48 <= figures.most_calls_on_a_quiet_day <= 60


def test_no_expired_document_is_ever_served(figures: Results) -> None:
    assert figures.dead_served == 0


def test_while_sts_works_no_document_with_less_than_a_quarter_of_an_hour_is_served(figures: Results) -> None:
    assert figures.least_life_served >= 15 * 60


@pytest.mark.parametrize("trouble", OUTAGES, ids=format)
def test_after_a_trouble_at_most_a_twentieth_of_the_fleet_asks_in_one_second(figures: Results, trouble: Outage) -> None:
    assert figures.find_peak(trouble) <= 0.05


@pytest.mark.parametrize("trouble", OUTAGES, ids=format)
def test_two_minutes_after_a_trouble_every_pod_has_new_credentials(figures: Results, trouble: Outage) -> None:
    assert figures.recoveries.get(trouble, 0) <= 120


def test_outages_strike_and_are_recovered_from(figures: Results) -> None:
    """Or the bounds above would hold for a simulation in which nothing happens."""
    outages = [trouble for trouble in OUTAGES if trouble.share == 1]

    assert all(figures.recoveries[trouble] > 10 for trouble in outages)
    assert [trouble.seconds for trouble in outages] == [300, 1800, 7200, 21600]


def test_another_seed_makes_other_figures_and_the_same_one_the_same() -> None:
    one, again, other = (simulate(pods=5, days=2, troubles=(), seed=seed) for seed in (1, 1, 2))

    assert one == again
    assert one != other


def test_the_table_names_each_trouble(figures: Results) -> None:
    assert len(format_table(figures).splitlines()) == 7 + len(OUTAGES)
