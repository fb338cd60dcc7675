"""Counters since the start, as plain numbers. `metrics` exports them."""

import threading
from collections import Counter
from enum import StrEnum
from typing import NamedTuple

from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure
from sidecar.sts.codes import name_code


class RefreshOutcome(StrEnum):
    """How an attempt to refresh the credentials ended."""

    SUCCESS = "success"
    TRANSIENT_ERROR = "transient_error"
    PERMANENT_ERROR = "permanent_error"


Counts = Counter[tuple[str | int, ...]]
"""By label values, which are all from known sets: neither a client nor STS can add one."""


_REQUESTS = threading.Lock()
"""With pass-through, requests are also counted in the server's threads."""


class Counters(NamedTuple):
    """All but `requests` are written by one thread only."""

    refreshes: Counts
    """By outcome and error code; the code is empty for a success."""

    requests: Counts
    """By route name and HTTP status."""

    rejections: Counts
    """Requests that the request filter rejected, by reason."""

    def count_refresh(self, outcome: Credentials | Failure) -> None:
        """Count one attempt."""
        if isinstance(outcome, Credentials):
            labels = RefreshOutcome.SUCCESS, ""
        else:
            kind = RefreshOutcome.PERMANENT_ERROR if outcome.is_permanent else RefreshOutcome.TRANSIENT_ERROR
            labels = kind, name_code(outcome.code)
        self.refreshes[labels] += 1

    def count_request(self, route_name: str, status: int) -> None:
        """Count one request."""
        with _REQUESTS:
            self.requests[route_name, status] += 1

    def copy(self) -> "Counters":
        """Return a snapshot for another thread."""
        return Counters(*(counts.copy() for counts in self))


def create_counters() -> Counters:
    """Create empty counters."""
    return Counters(Counter(), Counter(), Counter())
