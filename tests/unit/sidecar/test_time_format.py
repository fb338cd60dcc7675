"""Timestamps are those of `datetime`, which is too large for the sidecar."""

from datetime import UTC, datetime

import pytest

from sidecar.credentials.credentials import MAX_TIMESTAMP, MIN_TIMESTAMP
from sidecar.time_format import format_time


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(0, "1970-01-01T00:00:00Z", id="epoch"),
        pytest.param(-1, "1969-12-31T23:59:59Z", id="before-the-epoch"),
        pytest.param(951_782_400, "2000-02-29T00:00:00Z", id="leap-day"),
        pytest.param(1_700_000_000.999, "2023-11-14T22:13:20Z", id="fraction-is-dropped"),
        pytest.param(2**33, "2242-03-16T12:56:32Z", id="beyond-32-bits"),
        pytest.param(-(2**33), "1697-10-17T11:03:28Z", id="beyond-32-bits-before-the-epoch"),
        pytest.param(MAX_TIMESTAMP, "9999-12-31T23:59:59Z", id="largest"),
        pytest.param(MIN_TIMESTAMP, "1000-01-01T00:00:00Z", id="smallest"),
    ],
)
def test_time_is_rfc_3339_in_utc_with_whole_seconds(seconds: float, text: str) -> None:
    assert format_time(seconds) == text


def test_every_plausible_time_is_formatted_as_datetime_does() -> None:
    for seconds in range(MIN_TIMESTAMP, MAX_TIMESTAMP, 9_876_543):
        assert format_time(seconds) == datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
