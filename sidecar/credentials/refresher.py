"""The thread that refreshes the credentials: runs the fetch when the schedule says so and publishes the new state."""

import os
import threading
import time
from collections.abc import Callable, Sequence

from sidecar.credentials.clocks import SYSTEM, Clocks, clock_jump
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure, State, next_state, shift_clock
from sidecar.deadlines import MAX_SLEEP_SECONDS
from sidecar.log import emit
from sidecar.time_format import format_time

Observer = Callable[[Credentials | Failure, State], None]
"""Called in the refresher's thread after each attempt, with its outcome and the new state."""


class CredentialRefresher:
    """Holds the state that the endpoints read. One thread replaces it as a whole, so no lock is needed."""

    def __init__(
        self,
        fetch: Callable[[int], Credentials | Failure],
        state: State | None = None,
        observers: Sequence[Observer] = (),
        clocks: Clocks = SYSTEM,
    ) -> None:
        self.state = state or State(refresh_at=clocks.realtime())
        self.observers = list(observers)
        self.chores: list[Callable[[], None]] = []
        """Called in the refresher's thread whenever it wakes up: at least every MAX_SLEEP_SECONDS."""

        self.first_result = threading.Event()
        """Set once clients can get credentials or a permanent error, and the observers have seen them."""

        self._fetch = fetch
        self._clocks = clocks
        self._offset = clocks.read_offset()
        self._mark_first_result()

    def run(self) -> None:
        """Refresh until the process ends."""
        while True:
            self.refresh_if_due()
            for chore in self.chores:
                chore()
            time.sleep(self.seconds_to_sleep())

    def seconds_to_sleep(self) -> float:
        """Seconds until the next refresh, at most MAX_SLEEP_SECONDS."""
        return min(MAX_SLEEP_SECONDS, max(0, self.state.refresh_at - self._clocks.realtime()))

    def refresh_if_due(self) -> None:
        """Fetch credentials once if a refresh is due."""
        self._follow_clock()
        if self._clocks.realtime() < self.state.refresh_at:
            return
        outcome = self._fetch(self.state.attempts)
        self._follow_clock()  # the clock may have been set during the fetch
        if isinstance(outcome, Credentials):
            outcome = outcome.obtained_by(self._clocks.realtime())
        before = self.state.credentials
        self.state = next_state(self.state, outcome, self._clocks.realtime(), draw_jitter())
        _log_outcome(outcome, self.state)
        log_ignored_times(before, self.state.credentials)
        try:
            for observe in self.observers:
                observe(outcome, self.state)
        finally:
            self._mark_first_result()  # after they are saved: a started sidecar can be killed at any time

    def _follow_clock(self) -> None:
        offset = self._clocks.read_offset()
        if jump := clock_jump(self._offset, offset):
            self._offset = offset  # only after a jump: a clock that is slewed slowly adds up to one
            self.state = shift_clock(self.state, jump)
            emit("clock-jumped", seconds=round(jump), next_refresh=format_time(self.state.refresh_at))

    def _mark_first_result(self) -> None:
        if self.state.servable(self._clocks.realtime()):
            self.first_result.set()


def draw_jitter() -> float:
    """Return a random number from 0 to 1, without the 0.1 MiB of the module `random`."""
    return int.from_bytes(os.urandom(4), "big") / 2**32


def log_ignored_times(before: Credentials | None, after: Credentials | None) -> None:
    """Log which times of STS's answer do not count, once each time that this changes."""
    times = after.ignored_times if after else []
    if times != (before.ignored_times if before else []):
        emit("sts-times-ignored", times=", ".join(times) or "none")


def _log_outcome(outcome: Credentials | Failure, state: State) -> None:
    next_refresh = format_time(state.refresh_at)
    if isinstance(outcome, Credentials):
        ahead = {"clock_ahead_seconds": outcome.clock_ahead_seconds} if outcome.clock_ahead_seconds else {}
        expires = format_time(outcome.expires_at)
        emit("refreshed", role=outcome.role_arn, expires=expires, next_refresh=next_refresh, **ahead)
    else:
        emit(
            "refresh-failed",
            code=outcome.code,
            message=outcome.message,
            permanent=outcome.is_permanent,
            failures=state.failures,
            next_refresh=next_refresh,
        )
