"""The one thread that keeps the credentials fresh: asks `refresh` when, runs a fetch, publishes the new state."""

import random
import threading
import time
from collections.abc import Callable

from sidecar.credentials import Credentials, format_time
from sidecar.events import emit
from sidecar.refresh import Failure, State, advance

WAKE_SECONDS = 30
"""The longest sleep: a clock that was set, or a node that slept, is noticed within it."""


class Background:
    """Holds the state that the routes read. One thread writes it, by replacing it: no lock is needed."""

    def __init__(self, fetch: Callable[[], Credentials | Failure], clock: Callable[[], float] = time.time) -> None:
        self.state = State(refresh_at=clock())
        self.answered = threading.Event()
        """Set once there is something to say: credentials, or a refusal for good."""

        self._fetch = fetch
        self._clock = clock

    def run(self) -> None:
        """Refresh for as long as the process lives."""
        while True:
            self.refresh_if_due()
            time.sleep(self.seconds_to_sleep())

    def seconds_to_sleep(self) -> float:
        """How long nothing is due, but never so long that a jump of the clock would go unnoticed."""
        return min(WAKE_SECONDS, max(0, self.state.refresh_at - self._clock()))

    def refresh_if_due(self) -> None:
        """Ask STS once if it is time."""
        if self._clock() < self.state.refresh_at:
            return
        outcome = self._fetch()
        self.state = advance(self.state, outcome, self._clock(), random.random())  # noqa: S311 - spreads load
        _report(outcome, self.state)
        if isinstance(outcome, Credentials) or outcome.is_final:
            self.answered.set()


def _report(outcome: Credentials | Failure, state: State) -> None:
    again = format_time(state.refresh_at)
    if isinstance(outcome, Credentials):
        emit("refreshed", role=outcome.role_arn, expires=format_time(outcome.expires_at), next=again)
    else:
        event = "refused" if outcome.is_final else "failed"
        emit(event, code=outcome.code, message=outcome.message, failures=state.failures, next=again)
