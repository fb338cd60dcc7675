"""How rejected requests are told of: a line for the first of each reason in a minute. A client cannot flood the log."""

import math

QUIET_SECONDS = 60


class Rejections:
    """Remembers, for each reason, when it was last told of and how many came since."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[float, int]] = {}

    def note(self, reason: str, now: float) -> int | None:
        """How many untold rejections a line about this one has to count, itself included; None: there is to be no line.

        `now` is in seconds. A clock that was set back starts a new minute.
        """
        told_at, untold = self._told.get(reason, (-math.inf, 0))
        if 0 <= now - told_at < QUIET_SECONDS:
            self._told[reason] = told_at, untold + 1
            return None
        self._told[reason] = now, 0
        return untold + 1
