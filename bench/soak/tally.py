"""Counts what a run did, and keeps what was lost."""

import statistics
import sys
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager

MAX_LOSSES = 50
"""Kept with their text. All are counted."""

MAX_TEXT = 300
SHOWN_FAULTS = 8


class Interruption:
    """Whether something cannot answer because the run has just ended it. Requests of that time are cut, not lost."""

    def __init__(self) -> None:
        self._depth = 0
        self._last = float("-inf")
        self._lock = threading.Lock()

    @property
    def is_on(self) -> bool:
        """Whether it lasts: good requests wait."""
        return self._depth > 0

    def covers(self, began: float) -> bool:
        """Whether it lasted at any time since `began`, by the monotonic clock."""
        with self._lock:
            return self._depth > 0 or self._last >= began

    @contextmanager
    def lasting(self) -> Iterator[None]:
        """Interrupt until the block ends."""
        with self._lock:
            self._depth += 1
        try:
            yield
        finally:
            with self._lock:
                self._depth -= 1
                self._last = time.monotonic()


class Tally:
    """Thread-safe counts."""

    def __init__(self) -> None:
        self.faults: Counter[str] = Counter()
        self.good: Counter[str] = Counter()
        self.cut: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.losses: list[str] = []
        self.begun: deque[str] = deque(maxlen=SHOWN_FAULTS)
        """The faults that began last, with their time."""

        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def begin_fault(self, kind: str) -> None:
        """Note that a fault begins."""
        self.begun.append(f"{kind} at {time.monotonic() - self._began:.1f} s")

    def record_fault(self, kind: str) -> None:
        """Count a fault."""
        with self._lock:
            self.faults[kind] += 1

    def record_good(self, kind: str, seconds: float) -> None:
        """Count a good request that was answered."""
        with self._lock:
            self.good[kind] += 1
            self._seconds[kind].append(seconds)

    def record_cut(self, kind: str) -> None:
        """Count a request whose server was ended by the run itself."""
        with self._lock:
            self.cut[kind] += 1

    def record_lost(self, kind: str, text: str) -> None:
        """Count, keep and print a loss."""
        with self._lock:
            self.lost[kind] += 1
            if len(self.losses) < MAX_LOSSES:
                at = time.monotonic() - self._began
                self.losses.append(f"{at:.1f} s: {kind}: {ascii(text)[:MAX_TEXT]}")
                sys.stderr.write(f"lost: {self.losses[-1]} (faults: {', '.join(self.begun)})\n")

    def describe_seconds(self, kind: str) -> str:
        """Median, 99th percentile and maximum in milliseconds."""
        with self._lock:
            ordered = sorted(self._seconds[kind])
        if not ordered:
            return "none"
        p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        return f"p50 {statistics.median(ordered) * 1000:.1f}, p99 {p99 * 1000:.1f}, max {ordered[-1] * 1000:.0f} ms"
