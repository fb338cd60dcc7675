"""Bounds the CPU time of work that others must not wait for."""

from collections.abc import Callable
from threading import Lock

from server.clocks import read_boottime

SHARE = 0.2
"""Of the time that passes."""

MAX_SAVED_SECONDS = 0.5
"""What is saved up while there is no work: some hundred workloads that are applied at once."""


class CpuBudget:
    """Work may begin while something of the budget is left. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = read_boottime) -> None:
        self._clock = clock
        self._lock = Lock()
        self._saved = MAX_SAVED_SECONDS
        self._counted_at = clock()

    def is_left(self) -> bool:
        """Whether work may begin."""
        with self._lock:
            now = self._clock()
            self._saved = min(MAX_SAVED_SECONDS, self._saved + (now - self._counted_at) * SHARE)
            self._counted_at = now
            return self._saved > 0

    def spend(self, seconds: float) -> None:
        """Count the CPU time of work that is done. It can be more than was left: then others wait longer."""
        with self._lock:
            self._saved -= seconds
