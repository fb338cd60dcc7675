"""Counts denials by namespace and reason. Tenants create namespaces, so the number of series is bounded."""

import threading
from collections.abc import Callable, Iterable, Mapping

from server.clocks import read_boottime

MAX_SERIES = 500
"""Pairs of a namespace and a reason."""

MIN_IDLE_SECONDS = 3600
"""Only a series without a denial in this time makes room for another one: so namespaces that were deleted do not take
all the room for ever, and Prometheus gets at most MAX_SERIES new series in this time."""

OTHER = "(other)"
"""Stands for all namespaces without a series of their own. No namespace can have this name."""

Labels = tuple[str, str]
"""Namespace and reason."""


class DenialCounts:
    """How many pods were denied, by namespace and reason. Threads can count at the same time."""

    def __init__(self, clock: Callable[[], float] = read_boottime) -> None:
        self.knows_namespace: Callable[[str], bool] = lambda _name: False
        """Whether there is such a namespace: anybody who reaches the webhook's port can name others."""

        self._clock = clock
        self._counts: dict[Labels, tuple[int, float]] = {}
        """Count and time of the last denial; the pair that was denied last is the last one."""

        self._others: dict[str, int] = {}
        self._lock = threading.Lock()

    def count(self, namespace: str, reasons: Iterable[str]) -> None:
        """Count one denial for each of its reasons, which are codes of `injector.reasons`."""
        is_known = self.knows_namespace(namespace)
        with self._lock:
            for reason in reasons:
                if is_known and self._has_room((namespace, reason)):
                    count, _ = self._counts.pop((namespace, reason), (0, 0.0))
                    self._counts[namespace, reason] = count + 1, self._clock()
                else:
                    self._others[reason] = self._others.get(reason, 0) + 1

    def copy(self) -> Mapping[Labels, int]:
        """All counts."""
        with self._lock:
            others = {(OTHER, reason): count for reason, count in self._others.items()}
            return {labels: count for labels, (count, _) in self._counts.items()} | others

    def _has_room(self, labels: Labels) -> bool:
        if labels in self._counts or len(self._counts) < MAX_SERIES:
            return True
        oldest = next(iter(self._counts))
        if self._clock() - self._counts[oldest][1] < MIN_IDLE_SECONDS:
            return False
        del self._counts[oldest]
        return True
