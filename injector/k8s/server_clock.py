"""The API server's time, by the Date of its answers."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from server.clocks import read_boottime

DATE_FORMAT = "%a, %d %b %Y %H:%M:%S GMT"
"""https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7. Older forms are not read: no API server sends them."""

MAX_CHARACTERS = 40
"""Of a header that is read: a date has 29."""


class _Answer(NamedTuple):
    date: float
    received: float


class ServerClock:
    """The time of the latest answer, and what has passed since then. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = read_boottime) -> None:
        self._clock = clock
        self._latest: _Answer | None = None

    def record(self, date: str | None) -> None:
        """Take the Date header of an answer; one that is missing or no date changes nothing."""
        try:
            sent = datetime.strptime((date or "")[:MAX_CHARACTERS], DATE_FORMAT).replace(tzinfo=UTC)
        except ValueError:
            return
        self._latest = _Answer(sent.timestamp(), self._clock())

    def now(self) -> float | None:
        """Seconds since the epoch, late by the time that the answer took; None before the first date."""
        latest = self._latest
        return None if latest is None else latest.date + self._clock() - latest.received
