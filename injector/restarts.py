"""How long to wait before a worker is started again."""

import math

STABLE_SECONDS = 30
"""A worker that lived this long counts as healthy: the next one starts at once."""

DELAYS_SECONDS = (0, 0, 1, 2, 4, 8)
"""Before the first worker, before the one after the first early death, and so on. The last one repeats."""


class Restarts:
    """Delays the starts of workers that die young: each takes most of a CPU second, and a few lines of the log."""

    def __init__(self) -> None:
        self._started = -math.inf
        self._early_deaths = 0

    def next_delay(self, now: float) -> float:
        """How many seconds the worker that is started now must wait. Times are of a monotonic clock."""
        is_early = now < self._started + STABLE_SECONDS
        self._early_deaths = min(self._early_deaths + 1, len(DELAYS_SECONDS) - 1) if is_early else 0
        delay = DELAYS_SECONDS[self._early_deaths]
        self._started = now + delay
        return delay
