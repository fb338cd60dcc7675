"""Expiration, Date and this machine's clock: which count, and how long a session lives by them."""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.credentials.credentials import CLOCK_TOLERANCE_SECONDS, EXPIRY_MARGIN_SECONDS
from sidecar.sts.lifetime import Lifetime, find_clock_difference, find_lifetime, read_date


@pytest.mark.parametrize("ahead", [-7200, 7200])
def test_clock_difference_is_measured_by_the_date_header(ahead: int) -> None:
    now = 1_700_000_000.4
    date = format_datetime(datetime.fromtimestamp(int(now), UTC), usegmt=True)

    sts = read_date(date)
    assert sts is not None
    assert find_clock_difference(sts, now + ahead) == ahead
    assert find_clock_difference(sts, now + 29) == 0


@pytest.mark.parametrize("date", [None, "", "yesterday", "Tue, 99 Nov 2026 25:00:00 GMT"])
def test_missing_or_invalid_date_is_no_date(date: str | None) -> None:
    assert read_date(date) is None


HOUR = 3600
YEAR = 365 * 24 * HOUR
NOW = 1_795_990_000
"""STS's time."""


class Case(NamedTuple):
    """Times around STS's, in seconds; the requested duration is an hour."""

    expiration: int
    date: int | None
    own: int
    lives: int | None
    """Seconds from now, by this machine's clock; None: a failure."""

    shown: int | None = None
    """The Expiration that clients get, relative to STS's time; None: STS's."""

    ignored: str = ""


CASES = {
    "all-agree": Case(HOUR, 0, 0, HOUR),
    "no-date": Case(HOUR, None, 0, HOUR),
    "shorter-than-requested": Case(1200, 0, 0, 1200),
    "shorter-without-date": Case(1200, None, 0, 1200),
    "date-of-1970": Case(HOUR, -NOW, 0, HOUR, ignored="Date"),
    "date-of-9999": Case(HOUR, 8000 * YEAR - NOW, 0, HOUR, ignored="Date"),
    "date-far-behind-and-session-shorter": Case(1200, -YEAR, 0, 1200, ignored="Date"),
    "date-after-the-expiration": Case(HOUR, HOUR + 1, 0, HOUR, ignored="Date"),
    "date-an-hour-behind": Case(HOUR, -HOUR, 0, HOUR, ignored="Date"),
    "date-almost-at-the-expiration": Case(HOUR, HOUR - 61, 0, HOUR, ignored="Date"),
    "date-a-minute-behind": Case(HOUR, -60, 0, HOUR, ignored="Date"),
    "own-clock-two-hours-ahead": Case(HOUR, 0, 2 * HOUR, HOUR),
    "own-clock-two-hours-behind": Case(HOUR, 0, -2 * HOUR, HOUR),
    "own-clock-forty-years-ahead": Case(HOUR, 0, 40 * YEAR, HOUR),
    "own-clock-beyond-2242": Case(HOUR, 0, 300 * YEAR, HOUR),
    "own-clock-of-1970": Case(HOUR, 0, -NOW, HOUR),
    "own-clock-half-an-hour-ahead-and-session-shorter": Case(1200, 0, 1800, 1200),
    "own-clock-behind-without-date": Case(HOUR, None, -10 * YEAR, HOUR, HOUR - 10 * YEAR, ignored="Expiration"),
    "own-clock-behind-and-date-of-1970": Case(
        HOUR, -NOW, -10 * YEAR, HOUR, HOUR - 10 * YEAR, ignored="Expiration, Date"
    ),
    "longer-than-requested": Case(3 * HOUR, 0, 0, HOUR, HOUR, ignored="Expiration"),
    "longer-and-own-clock-ahead": Case(3 * HOUR, 0, 5 * HOUR, HOUR, HOUR, ignored="Expiration"),
    "within-the-tolerance": Case(HOUR + 30, 0, 0, HOUR + 30),
    "expiration-of-2100": Case(74 * YEAR, 0, 0, HOUR, HOUR, ignored="Expiration"),
    "expiration-of-2100-without-date": Case(74 * YEAR, None, 0, HOUR, HOUR, ignored="Expiration"),
    "expiration-of-2100-and-date-of-1970": Case(74 * YEAR, -NOW, 0, HOUR, HOUR, ignored="Expiration, Date"),
    "expiration-of-2100-and-own-clock-behind": Case(74 * YEAR, 0, -YEAR, HOUR, HOUR - YEAR, ignored="Expiration, Date"),
    "expiration-of-9999": Case(7900 * YEAR, 0, 0, HOUR, HOUR, ignored="Expiration"),
    "expiration-now": Case(0, 0, 0, None),
    "expiration-within-the-margin": Case(60, 0, 0, None),
    "expiration-too-soon-for-a-refresh": Case(120, 0, 0, None),
    "expiration-just-late-enough-for-a-refresh": Case(121, 0, 0, 121),
    "expiration-of-2020": Case(-6 * YEAR, 0, 0, None),
    "expiration-of-2020-without-date": Case(-6 * YEAR, None, 0, None),
    "expiration-of-2020-and-date-of-1970": Case(-6 * YEAR, -NOW, 0, None),
    "expiration-of-1970": Case(-NOW, 0, 0, None),
    "expiration-past-by-date-only": Case(-6 * YEAR, 0, -10 * YEAR, None),
    "own-clock-ahead-without-date": Case(HOUR, None, 10 * YEAR, None),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_lifetime_is_that_of_the_times_that_agree(case: Case) -> None:
    own = NOW + case.own
    date = None if case.date is None else build_date(NOW + case.date)

    lifetime = find_lifetime(NOW + case.expiration, date, own, HOUR)

    if case.lives is None:
        assert lifetime is None
        return
    assert lifetime is not None
    assert lifetime.expires_at + lifetime.clock_ahead_seconds - own == case.lives
    assert lifetime.expires_at - NOW == (case.expiration if case.shown is None else case.shown)
    assert lifetime.ignores_expiration == ("Expiration" in case.ignored)
    assert lifetime.ignores_date == ("Date" in case.ignored)


@pytest.mark.parametrize(
    "date",
    ["", "yesterday", ", ".join(["Sun, 29 Nov 2026 22:06:40 GMT"] * 2), "1795990000", "x" * 60_000],
    ids=["empty", "words", "doubled", "number", "huge"],
)
def test_malformed_date_is_ignored(date: str) -> None:
    assert find_lifetime(NOW + HOUR, date, NOW, HOUR) == Lifetime(NOW + HOUR, 0, ignores_date=True)


@given(
    expiration=st.integers(0, 253_402_300_799),
    date=st.none() | st.integers(0, 253_402_300_799),
    own=st.integers(0, 253_402_300_799),
    duration=st.integers(900, 43_200),
)
def test_no_times_make_a_session_longer_than_requested(
    expiration: int, date: int | None, own: int, duration: int
) -> None:
    lifetime = find_lifetime(expiration, None if date is None else build_date(date), own, duration)

    if lifetime is not None:
        lives = lifetime.expires_at + lifetime.clock_ahead_seconds - own
        assert EXPIRY_MARGIN_SECONDS < lives <= duration + CLOCK_TOLERANCE_SECONDS
        assert lifetime.expires_at <= expiration


def build_date(seconds: int) -> str:
    """Format the header Date; a time after 9999 as the last second of it."""
    return format_datetime(datetime.fromtimestamp(min(seconds, 253_402_300_799), UTC), usegmt=True)
