"""When credentials end. Neither STS's Expiration, nor its Date, nor this machine's clock is trusted alone.

An answer has three times that must agree: Expiration is at most the requested duration after STS's clock, and both the
header Date and this machine's clock should be near STS's. Pure functions.
"""

from typing import NamedTuple

from sidecar.credentials.credentials import CLOCK_TOLERANCE_SECONDS, EXPIRY_MARGIN_SECONDS
from sidecar.deadlines import MIN_REFRESH_SECONDS
from sidecar.sts.timestamps import parse_date

LONGEST_SESSION_SECONDS = 12 * 3600
"""https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html, DurationSeconds"""

SHORTEST_SECONDS = EXPIRY_MARGIN_SECONDS + MIN_REFRESH_SECONDS
"""Credentials that end sooner would be withdrawn before the next refresh, each time, and no failure would be shown."""


class Lifetime(NamedTuple):
    """The end of a session."""

    expires_at: int
    """Seconds since the epoch by STS's clock."""

    clock_ahead_seconds: int
    """How far this machine's clock is ahead of STS's."""

    ignores_expiration: bool = False
    """Whether Expiration is later than the requested duration allows."""

    ignores_date: bool = False
    """Whether Date is malformed, or contradicts the other two times."""


def find_lifetime(expiration: int, date: str | None, now: float, duration_seconds: int) -> Lifetime | None:
    """Return when a session of the requested duration ends; None if by any clock it has ended, or ends too soon.

    `date`: the header Date. A session never ends later than the requested duration from now.
    """
    sts, own = read_date(date), int(now)
    differs = date is not None and (sts is None or find_clock_difference(sts, now) != 0)
    if abs(expiration - duration_seconds - own) <= CLOCK_TOLERANCE_SECONDS:
        return Lifetime(expiration, 0, ignores_date=differs)  # just what was requested: this machine's clock is STS's
    clocks = (own,) if sts is None else (sts, own)
    for longest in (duration_seconds, LONGEST_SESSION_SECONDS):
        for clock in clocks:
            if SHORTEST_SECONDS < expiration - clock <= longest + CLOCK_TOLERANCE_SECONDS:
                limited = _limit(expiration, clock, duration_seconds, now)
                return limited._replace(ignores_date=differs and clock != sts)
    if any(expiration - clock <= SHORTEST_SECONDS for clock in clocks):
        return None
    return Lifetime(own + duration_seconds, 0, ignores_expiration=True, ignores_date=differs)


def _limit(expiration: int, clock: int, duration_seconds: int, now: float) -> Lifetime:
    excess = expiration - clock - duration_seconds
    is_longer = excess > CLOCK_TOLERANCE_SECONDS
    return Lifetime(expiration - excess if is_longer else expiration, find_clock_difference(clock, now), is_longer)


def read_date(date: str | None) -> int | None:
    """Return the header Date in seconds since the epoch; None if it is missing, repeated or malformed."""
    try:
        return parse_date(date or "")
    except ValueError:
        return None


def find_clock_difference(clock: int, now: float) -> int:
    """By how many seconds this machine's clock is ahead of another one; 0 if they agree.

    Expiration is a time by STS's clock: with a local clock that is wrong by hours, new credentials would look expired,
    or expired ones valid.
    """
    ahead = round(now - clock)
    return ahead if abs(ahead) > CLOCK_TOLERANCE_SECONDS else 0
