"""A fleet's month: what it asks of STS, and what its clients are given. The figures stand in docs/sidecar.md."""

import pytest

from tests.integration.sidecar.simulation import OUTAGES, Outage, Results, format_table, simulate


@pytest.fixture(scope="module")
def figures() -> Results:
    return simulate()


def test_simulation_covers_1000_pods_for_30_days(figures: Results) -> None:
    assert (figures.pods, figures.days) == (1000, 30)
    assert sum(figures.calls) > 1000 * 30 * 48


def test_pod_calls_sts_at_most_60_times_a_day(figures: Results) -> None:
    assert 48 <= figures.most_calls_on_a_quiet_day <= 60


def test_no_expired_credentials_are_served(figures: Results) -> None:
    assert figures.dead_served == 0


def test_served_credentials_live_at_least_15_minutes_while_sts_works(figures: Results) -> None:
    assert figures.least_life_served >= 15 * 60


@pytest.mark.parametrize("trouble", OUTAGES, ids=format)
def test_at_most_5_percent_of_the_fleet_call_sts_in_one_second_after_an_outage(
    figures: Results, trouble: Outage
) -> None:
    assert figures.find_peak(trouble) <= 0.05


@pytest.mark.parametrize("trouble", OUTAGES, ids=format)
def test_every_pod_recovers_within_two_minutes_after_an_outage(figures: Results, trouble: Outage) -> None:
    assert figures.recoveries.get(trouble, 0) <= 120


def test_simulated_outages_have_an_effect(figures: Results) -> None:
    """Or the bounds above would hold for a simulation in which nothing happens."""
    outages = [trouble for trouble in OUTAGES if trouble.share == 1]

    assert all(figures.recoveries[trouble] > 10 for trouble in outages)
    assert [trouble.seconds for trouble in outages] == [300, 1800, 7200, 21600]


def test_results_depend_on_the_seed_only() -> None:
    one, again, other = (simulate(pods=5, days=2, troubles=(), seed=seed) for seed in (1, 1, 2))

    assert one == again
    assert one != other


def test_table_lists_every_outage(figures: Results) -> None:
    assert len(format_table(figures).splitlines()) == 7 + len(OUTAGES)
