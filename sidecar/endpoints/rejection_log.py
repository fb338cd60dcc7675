"""Limits the log of rejected requests to one line per reason and minute: a client cannot flood the log."""

import math

INTERVAL_SECONDS = 60


class RejectionLog:
    """Remembers, for each reason, when it was last logged and how many rejections followed."""

    def __init__(self) -> None:
        self._logged: dict[str, tuple[float, int]] = {}

    def count(self, reason: str, now: float) -> int | None:
        """Return how many rejections to log, including this one, or None if this reason was logged within a minute.

        `now` is in seconds. A clock that was set back starts a new minute.
        """
        logged_at, unlogged = self._logged.get(reason, (-math.inf, 0))
        if 0 <= now - logged_at < INTERVAL_SECONDS:
            self._logged[reason] = logged_at, unlogged + 1
            return None
        self._logged[reason] = now, 0
        return unlogged + 1
