"""Limits a log to one line per reason and minute: clients cannot flood it."""

import math
from collections.abc import Callable
from contextlib import suppress

from server.clocks import read_boottime

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
    """Passes on at most one line per reason and minute, with the end of its details.

    It raises nothing: a log that cannot be written must not end the server.
    """

    def __init__(self, log: Log, clock: Callable[[], float] = read_boottime) -> None:
        self._log = log
        self._clock = clock
        self._limit = LogLimit()
        self.counts: dict[str, int] = {}
        """By reason: all occurrences, also those that were not logged."""

    def __call__(self, reason: str, detail: str) -> None:
        """Log an occurrence."""
        self._write(reason, lambda: detail)

    def exception(self, reason: str, error: BaseException) -> None:
        """Log an occurrence with a traceback."""
        self._write(reason, lambda: format_traceback(error))

    def _write(self, reason: str, describe: Callable[[], str]) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + 1
        count = self._limit.count(reason, self._clock())
        if count is not None:
            with suppress(Exception):
                self._log(reason, count, describe()[-MAX_DETAIL_CHARACTERS:])


def find_place(error: BaseException) -> str:
    """Return an error's type and where it was raised: there are as many as the code has lines."""
    place = error.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    where = f" at {place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else ""
    return f"{type(error).__name__}{where}"


def format_traceback(error: BaseException) -> str:
    """Format an error with its traceback and its causes."""
    import traceback  # noqa: PLC0415 - takes 0.5 MiB, and most processes never log one

    return "".join(traceback.format_exception(error))
