"""Times in responses of STS, compared with datetime."""

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.sts.timestamps import parse_date, parse_expiration

TIMES = st.integers(min_value=0, max_value=int(datetime(9999, 12, 30, tzinfo=UTC).timestamp()))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-29",
        "2026-11-29T22:21:31",
        "2026-11-29 22:21:31Z",
        "2026-11-29T22:21:31z",
        "2026-11-29T22:21Z",
        "2026-11-29T22:21:31.Z",
        "2026-11-29T22:21:31.0000000001Z",
        "2026-11-29T22:21:31Z ",
        "2026-11-29T22:21:31Z\n",
        "2026-11-29T22:21:31+0100",
        "2026-11-29T22:21:60Z",
        "2026-11-29T24:00:00Z",
        "2026-11-31T00:00:00Z",
        "2026-00-10T00:00:00Z",
        "2026-13-10T00:00:00Z",
        "2026-11-00T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59-00:01",
        "0000-01-01T00:00:00Z",
        "12026-11-29T22:21:31Z",
        "-026-11-29T22:21:31Z",
        "\u0662026-11-29T22:21:31Z",
        "1795990891",
        "Sun, 29 Nov 2026 22:21:31 GMT",
    ],
)
def test_other_text_is_no_expiration(text: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        parse_expiration(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "Sun, 29 Nov 2026 22:21:31",
        "Sun, 29 Nov 2026 22:21:31 CET",
        "Sun, 29 nov 2026 22:21:31 GMT",
        "Sun, 29 Foo 2026 22:21:31 GMT",
        "Sun, 31 Nov 2026 22:21:31 GMT",
        "Sun, 29 Nov 2026 25:21:31 GMT",
        "Sun, 29 Nov 26 22:21:31 GMT",
        "Sunday, 29-Nov-26 22:21:31 GMT",
        "Sun Nov 29 22:21:31 2026",
        "Wed, 31 Dec 1969 23:59:59 GMT",
        "2026-11-29T22:21:31Z",
    ],
)
def test_other_text_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a time|not in tuple"):
        parse_date(text)


@given(TIMES, st.integers(-23 * 60 - 59, 23 * 60 + 59))
def test_expiration_is_that_of_datetime(seconds: int, offset_minutes: int) -> None:
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    sign, minutes = "-" if offset_minutes < 0 else "+", abs(offset_minutes)

    assert parse_expiration(f"{text}Z") == parse_expiration(f"{text}.999Z") == seconds
    zoned = f"{text}{sign}{minutes // 60:02}:{minutes % 60:02}"
    assert parse_expiration(zoned) == int(datetime.fromisoformat(zoned).timestamp())


@given(TIMES)
def test_date_is_that_of_datetime(seconds: int) -> None:
    text = format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)

    assert parse_date(text) == seconds == int(parsedate_to_datetime(text).timestamp())
