"""The simulated month of a fleet: its STS calls and its clients' credentials. docs/sidecar.md has the results."""

import pytest

from testing.repository import ROOT
from tests.integration.sidecar.simulation import (
    MAX_DAILY_CALLS,
    MAX_PEAK_SHARE,
    MAX_RECOVERY_SECONDS,
    MIN_SERVED_LIFETIME,
    OUTAGES,
    Outage,
    Results,
    format_results,
    simulate,
)


@pytest.fixture(scope="module")
def results() -> Results:
    return simulate()


def test_simulation_covers_1000_pods_for_30_days(results: Results) -> None:
    assert (results.pods, results.days) == (1000, 30)
    assert sum(results.calls) > 1000 * 30 * 48


def test_pod_calls_sts_at_most_60_times_a_day(results: Results) -> None:
    assert 48 <= results.max_daily_calls <= MAX_DAILY_CALLS


def test_no_expired_credentials_are_served(results: Results) -> None:
    assert results.expired_served == 0


def test_served_credentials_live_at_least_15_minutes_while_sts_works(results: Results) -> None:
    assert results.min_served_lifetime >= MIN_SERVED_LIFETIME


@pytest.mark.parametrize("outage", OUTAGES, ids=str)
def test_at_most_5_percent_of_the_fleet_call_sts_in_one_second_after_an_outage(
    results: Results, outage: Outage
) -> None:
    assert results.peak_share(outage) <= MAX_PEAK_SHARE


@pytest.mark.parametrize("outage", OUTAGES, ids=str)
def test_every_pod_recovers_within_two_minutes_after_an_outage(results: Results, outage: Outage) -> None:
    assert results.recoveries.get(outage, 0) <= MAX_RECOVERY_SECONDS


def test_simulated_outages_have_an_effect(results: Results) -> None:
    """Otherwise the limits above would hold for a simulation in which nothing happens."""
    complete = [outage for outage in OUTAGES if outage.share == 1]

    assert all(results.recoveries[outage] > 10 for outage in complete)
    assert [outage.seconds for outage in complete] == [300, 1800, 7200, 21600]


def test_results_depend_on_the_seed_only() -> None:
    one, again, other = (simulate(pods=5, days=2, outages=(), seed=seed) for seed in (1, 1, 2))

    assert one == again
    assert one != other


def test_docs_contain_the_results(results: Results) -> None:
    assert format_results(results) in (ROOT / "docs" / "sidecar.md").read_text()
