"""What happened since the start, as plain numbers. How they are shown is not known here."""

from collections import Counter
from typing import NamedTuple

from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure

REFRESHED = "refreshed"
REFUSED = "refused"
FAILED = "failed"
"""How an attempt to refresh ended: with credentials, with STS's refusal for good, with something that may pass."""

Numbers = Counter[tuple[str | int, ...]]
"""What belongs together has one key. No part of a key comes from a client."""


class Counters(NamedTuple):
    """Each is written by one thread alone, so no lock is needed."""

    refreshes: Numbers
    """By outcome and, where it was a failure, its code."""

    requests: Numbers
    """By the family of the path and the answer's status."""

    rejections: Numbers
    """Requests that were not looked at, by the reason."""

    def count_refresh(self, outcome: Credentials | Failure) -> None:
        """Count one attempt by what it brought."""
        if isinstance(outcome, Credentials):
            self.refreshes[REFRESHED, ""] += 1
        else:
            self.refreshes[REFUSED if outcome.is_permanent else FAILED, outcome.code] += 1

    def copy(self) -> "Counters":
        """The numbers of this moment, for another thread than those that count."""
        return Counters(*(numbers.copy() for numbers in self))


def create_counters() -> Counters:
    """Start at nothing."""
    return Counters(Counter(), Counter(), Counter())
