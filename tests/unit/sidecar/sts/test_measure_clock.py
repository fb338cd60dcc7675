"""The difference between this machine's clock and STS's."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from sidecar.sts.errors import measure_clock


@pytest.mark.parametrize("ahead", [-7200, 7200])
def test_clock_difference_is_measured_by_the_date_header(ahead: int) -> None:
    now = 1_700_000_000.4
    date = format_datetime(datetime.fromtimestamp(int(now), UTC), usegmt=True)

    assert measure_clock(date, now + ahead) == ahead
    assert measure_clock(date, now + 29) == 0


@pytest.mark.parametrize("date", [None, "", "yesterday", "Tue, 99 Nov 2026 25:00:00 GMT"])
def test_missing_or_invalid_date_means_no_difference(date: str | None) -> None:
    assert measure_clock(date, 1_700_000_000) == 0
