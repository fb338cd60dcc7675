"""The limits of the waits of lists and watches."""

import random
from dataclasses import dataclass

from injector.deadlines import (
    FULL_LIST_SECONDS,
    LIST_READ_SECONDS,
    LIST_SECONDS,
    MAX_BACKOFF_SECONDS,
    MAX_STALENESS_SECONDS,
    MIN_BACKOFF_SECONDS,
    RELIST_SECONDS,
    WATCH_CONNECT_SECONDS,
    WATCH_READ_SECONDS,
    WATCH_SECONDS,
)


@dataclass(frozen=True, slots=True)
class WatchTimeouts:
    """Timeouts of lists and watches, and the pauses between them; described in `injector.deadlines`."""

    watch_seconds: int = WATCH_SECONDS
    read_timeout_seconds: float = WATCH_READ_SECONDS
    list_timeout_seconds: float = LIST_READ_SECONDS
    full_list_seconds: float = FULL_LIST_SECONDS
    all_pages_seconds: float = LIST_SECONDS
    connect_timeout_seconds: float = WATCH_CONNECT_SECONDS
    min_backoff_seconds: float = MIN_BACKOFF_SECONDS
    max_backoff_seconds: float = MAX_BACKOFF_SECONDS
    relist_seconds: float = RELIST_SECONDS
    max_staleness_seconds: float = MAX_STALENESS_SECONDS

    def next_backoff(self, failures: int) -> float:
        """Seconds before the next try: doubled with each failure in a row, with up to half of it as random jitter.

        Jitter spreads out the replicas that lost the API server at the same time.
        """
        longest = min(self.min_backoff_seconds * 2.0 ** min(failures, 16), self.max_backoff_seconds)
        return longest * random.uniform(0.5, 1)  # noqa: S311 - nothing secret
