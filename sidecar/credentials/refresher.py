"""The one thread that keeps the credentials fresh: asks `refresh` when, runs a fetch, publishes the new state."""

import random
import threading
import time
from collections.abc import Callable, Sequence

from sidecar.credentials.clocks import SYSTEM, Clocks, clock_jump
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure, State, next_state, shift_clock
from sidecar.log import emit
from sidecar.time_format import format_time

WAKE_SECONDS = 30
"""The longest sleep: a clock that was set, or a node that slept, is noticed within it.

Half of the life with which a document is last handed out, so that even a clock that was set back serves no dead one;
and a fleet whose clocks all are set at once comes to STS spread over it.
"""

Observe = Callable[[Credentials | Failure, State], None]
"""Is told what each attempt brought and what follows from it, in this thread."""


class CredentialRefresher:
    """Holds the state that the routes read. One thread writes it, by replacing it: no lock is needed."""

    def __init__(
        self,
        fetch: Callable[[int], Credentials | Failure],
        state: State | None = None,
        observers: Sequence[Observe] = (),
        clocks: Clocks = SYSTEM,
    ) -> None:
        self.state = state or State(refresh_at=clocks.wall())
        self.observers = list(observers)
        self.answered = threading.Event()
        """Set once there is something to say: credentials, or a refusal for good."""

        self._fetch = fetch
        self._clocks = clocks
        self._offset = clocks.read_offset()
        self._mark_first_result()

    def run(self) -> None:
        """Refresh for as long as the process lives."""
        while True:
            self.refresh_if_due()
            time.sleep(self.seconds_to_sleep())

    def seconds_to_sleep(self) -> float:
        """How long nothing is due, but never so long that a jump of the clock would go unnoticed."""
        return min(WAKE_SECONDS, max(0, self.state.refresh_at - self._clocks.wall()))

    def refresh_if_due(self) -> None:
        """Ask STS once if it is time."""
        self._shift_clock()
        if self._clocks.wall() < self.state.refresh_at:
            return
        outcome = self._fetch(self.state.attempts)
        self._shift_clock()  # before what came is put on the clock as it stands now
        self.state = next_state(self.state, outcome, self._clocks.wall(), random.random())  # noqa: S311 - spreads load
        _report(outcome, self.state)
        self._mark_first_result()
        for observe in self.observers:
            observe(outcome, self.state)

    def _shift_clock(self) -> None:
        offset = self._clocks.read_offset()
        if step := clock_jump(self._offset, offset):
            self._offset = offset  # not before: a clock that is corrected little by little is followed in steps
            self.state = shift_clock(self.state, step)
            emit("clock-set", seconds=round(step), next=format_time(self.state.refresh_at))

    def _mark_first_result(self) -> None:
        if self.state.servable(self._clocks.wall()):
            self.answered.set()


def _report(outcome: Credentials | Failure, state: State) -> None:
    again = format_time(state.refresh_at)
    if isinstance(outcome, Credentials):
        ahead = {"clock_ahead_seconds": outcome.clock_ahead_seconds} if outcome.clock_ahead_seconds else {}
        emit("refreshed", role=outcome.role_arn, expires=format_time(outcome.expires_at), next=again, **ahead)
    else:
        event = "refused" if outcome.is_permanent else "failed"
        emit(event, code=outcome.code, message=outcome.message, failures=state.failures, next=again)
