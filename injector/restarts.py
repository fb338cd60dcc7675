"""How long to wait before a worker is started again."""

import math

from injector.deadlines import RESTART_DELAYS_SECONDS

STABLE_SECONDS = 30
"""A worker that lived this long counts as healthy: the next one starts at once."""


class Restarts:
    """Delays the starts of workers that die young: each takes most of a CPU second, and a few lines of the log."""

    def __init__(self) -> None:
        self._started = -math.inf
        self._early_deaths = 0

    def next_delay(self, now: float) -> float:
        """How many seconds the worker that is started now must wait. Times are of a monotonic clock."""
        is_early = now < self._started + STABLE_SECONDS
        self._early_deaths = min(self._early_deaths + 1, len(RESTART_DELAYS_SECONDS) - 1) if is_early else 0
        delay = RESTART_DELAYS_SECONDS[self._early_deaths]
        self._started = now + delay
        return delay
