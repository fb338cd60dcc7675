"""Parses the times in a response of STS, without the datetime module, which would cost the child 1 MiB."""

import re
import time

from sidecar.credentials.credentials import MAX_TIMESTAMP

_EXPIRATION = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))", re.ASCII
)
"""RFC 3339: https://www.rfc-editor.org/rfc/rfc3339#section-5.6. STS sends `2026-11-29T22:21:31Z`."""

_DATE = re.compile(r"\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII)
"""The format that HTTP requires: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7"""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def parse_expiration(text: str) -> int:
    """Return seconds since the epoch, rounded down; raise ValueError for any other format, and without a zone."""
    found = _EXPIRATION.fullmatch(text)
    if not found:
        raise ValueError("not a time as in RFC 3339")
    *numbers, sign, hours, minutes = found.groups()
    offset = (int(hours) * 60 + int(minutes)) * 60 if sign else 0
    seconds = count_seconds(tuple(map(int, numbers))) - (-offset if sign == "-" else offset)
    if seconds > MAX_TIMESTAMP:  # by its offset
        raise ValueError("not a time until the year 9999")
    return seconds


def parse_date(text: str) -> int:
    """Return seconds since the epoch for the header Date; raise ValueError for any other format."""
    found = _DATE.fullmatch(text)
    if not found:
        raise ValueError("not a time as in RFC 9110")
    day, month, year, *clock = found.groups()
    return count_seconds((int(year), _MONTHS.index(month) + 1, int(day), *map(int, clock)))


def count_seconds(utc: tuple[int, ...]) -> int:
    """Count the seconds from the epoch to year, month, day, hour, minute, second; raise ValueError for no later time.

    Years start in March here: then a leap day is the last of its year.
    """
    year, month, day, hour, minute, second = utc
    years, months = divmod(year * 12 + month - 3, 12)
    days = years * 365 + years // 4 - years // 100 + years // 400 + (months * 153 + 2) // 5 + day - 719_469
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
    if seconds < 0 or time.gmtime(seconds)[:6] != utc:
        raise ValueError("not a time of the calendar since the epoch")
    return seconds
