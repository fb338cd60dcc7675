"""Limits a log to one line per reason and minute: clients cannot flood it."""

import math
import time
from collections.abc import Callable

INTERVAL_SECONDS = 60
MAX_DETAIL_CHARACTERS = 2000

Log = Callable[[str, int, str], None]
"""Writes one line: a reason, how often it occurred since its last line, and details of the last time."""


class LogLimit:
    """Remembers, for each reason, when it was last logged and how often it occurred since. Reasons are constants."""

    def __init__(self) -> None:
        self._logged: dict[str, tuple[float, int]] = {}

    def count(self, reason: str, now: float) -> int | None:
        """Return how many occurrences to log, including this one, or None if the reason was logged within a minute.

        `now` is in seconds. A clock that was set back starts a new minute.
        """
        logged_at, unlogged = self._logged.get(reason, (-math.inf, 0))
        if 0 <= now - logged_at < INTERVAL_SECONDS:
            self._logged[reason] = logged_at, unlogged + 1
            return None
        self._logged[reason] = now, 0
        return unlogged + 1


class LimitedLog:
    """Passes on at most one line per reason and minute, with the end of its details."""

    def __init__(self, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._limit = LogLimit()

    def __call__(self, reason: str, detail: str) -> None:
        """Log an occurrence."""
        count = self._limit.count(reason, self._clock())
        if count is not None:
            self._log(reason, count, detail[-MAX_DETAIL_CHARACTERS:])
