"""Simulates a fleet for 30 days, with the real refresh schedule and an STS with outages and throttling.

Nothing sleeps; a child process is modelled by its duration. Pods share only the count of their calls, so they are
simulated one after the other. This prints the results:

    .venv/bin/python -m tests.integration.sidecar.simulation
"""

import math
import random
from array import array
from dataclasses import dataclass, field
from typing import NamedTuple

from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure, State, next_state

DAY_SECONDS = 86400
SESSION_SECONDS = 3600
RESPONSE_SECONDS = 0.3
RETRY_SECONDS = 0.7
"""Between two attempts of one child, about as long as tenacity waits."""

ROLLOUT_SECONDS = 60
"""All pods of a rollout start within this time."""

MAX_DAILY_CALLS = 60
MIN_SERVED_LIFETIME = 15 * 60
MAX_PEAK_SHARE = 0.05
MAX_RECOVERY_SECONDS = 120
"""The limits that the tests check."""

ROLE_ARN = "arn:aws:iam::111122223333:role/reader"
UNREACHABLE = Failure("EndpointConnectionError", "Could not connect", is_permanent=False)
THROTTLED = Failure("Throttling", "Rate exceeded", is_permanent=False)


class Outage(NamedTuple):
    """A time in which STS fails a share of all calls."""

    starts_at: float
    seconds: float
    failure: Failure = UNREACHABLE
    share: float = 1.0

    @property
    def cause(self) -> str:
        """Such as `90% of calls throttled`."""
        return f"{self.share:.0%} of calls throttled" if self.failure is THROTTLED else "no connection"

    @property
    def duration(self) -> str:
        """In minutes, from two hours on in hours."""
        minutes = int(self.seconds // 60)
        return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"

    def __str__(self) -> str:
        return f"{self.cause}, {self.duration}"

    @property
    def ends_at(self) -> float:
        """When STS works again."""
        return self.starts_at + self.seconds


OUTAGES = (
    Outage(3 * DAY_SECONDS, 300),
    Outage(7 * DAY_SECONDS, 1800),
    Outage(11 * DAY_SECONDS, 3600, THROTTLED, 0.9),
    Outage(15 * DAY_SECONDS, 2 * 3600),
    Outage(19 * DAY_SECONDS, 4 * 3600, THROTTLED, 0.5),
    Outage(23 * DAY_SECONDS, 6 * 3600),
)

LONG_AGO, NEVER = Outage(-math.inf, 0), Outage(math.inf, 0)


@dataclass
class Results:
    """The results of a simulation."""

    pods: int
    days: int
    calls: "array[int]"
    """STS calls of the whole fleet in each second."""

    max_daily_calls: int = 0
    """By one pod, on a day without an outage."""

    expired_served: int = 0
    """Expired credentials that clients would have got."""

    min_served_lifetime: float = SESSION_SECONDS
    """Shortest remaining lifetime, in seconds, of credentials that clients got while STS worked."""

    recoveries: dict[Outage, float] = field(default_factory=dict)
    """Seconds from the end of an outage until the last affected pod had new credentials."""

    def peak_share(self, outage: Outage) -> float:
        """Return the highest share of the fleet that called in one second, in the two hours after an outage."""
        end = int(outage.ends_at)
        return max(self.calls[end : end + 2 * 3600]) / self.pods


def simulate(pods: int = 1000, days: int = 30, outages: tuple[Outage, ...] = OUTAGES, seed: int = 1) -> Results:
    """Simulate every pod, each with its own random numbers."""
    results = Results(pods, days, array("H", bytes(2 * days * DAY_SECONDS)))
    for pod in range(pods):
        Pod(results, outages, random.Random(f"{seed} {pod}")).run()
    return results


class Pod:
    """One sidecar during the whole simulation."""

    def __init__(self, results: Results, outages: tuple[Outage, ...], generator: random.Random) -> None:
        self._results = results
        self._upcoming = [NEVER, *outages[::-1]]
        self._last_outage, self._next_outage = LONG_AGO, self._upcoming.pop()
        self._outage_days = {int(moment // DAY_SECONDS) for one in outages for moment in (one.starts_at, one.ends_at)}
        self._random = generator
        self._calls = [0] * results.days

    def run(self) -> None:
        """Run one attempt after the other."""
        end = self._results.days * DAY_SECONDS
        now = self._random.random() * ROLLOUT_SECONDS
        state = State(refresh_at=now)
        while now < end:
            outcome, now = self._fetch(now, state.attempts)
            before, state = state, next_state(state, outcome, now, self._random.random())
            self._record(before, outcome, now)
            now = max(now, state.refresh_at)
        quiet = (calls for day, calls in enumerate(self._calls) if day not in self._outage_days)
        self._results.max_daily_calls = max(self._results.max_daily_calls, *quiet)

    def _fetch(self, now: float, attempts: int) -> tuple[Credentials | Failure, float]:
        """Return the outcome of one child, and when it ends."""
        failure = self._call(now)
        while failure and attempts > 1:
            attempts -= 1
            now += RETRY_SECONDS
            failure = self._call(now)
        if failure:
            return failure, now + RESPONSE_SECONDS
        second = int(now)
        return Credentials(ROLE_ARN, "A", "s", "t", second, second + SESSION_SECONDS), now + RESPONSE_SECONDS

    def _call(self, now: float) -> Failure | None:
        second = int(now)
        day = second // DAY_SECONDS
        if day < self._results.days:
            self._results.calls[second] += 1
            self._calls[day] += 1
        while now >= self._next_outage.ends_at:
            self._last_outage, self._next_outage = self._next_outage, self._upcoming.pop()
        if now >= self._next_outage.starts_at and self._random.random() < self._next_outage.share:
            return self._next_outage.failure
        return None

    def _record(self, before: State, outcome: Credentials | Failure, now: float) -> None:
        """Record what clients got until now, and whether this is a recovery."""
        credentials = before.credentials
        if credentials and now >= credentials.expires_at and before.servable(credentials.expires_at) is credentials:
            self._results.expired_served += 1
        if isinstance(outcome, Failure):
            return
        if before.failed_at and before.failed_at < self._last_outage.ends_at + RESPONSE_SECONDS:
            took = max(now - self._last_outage.ends_at, self._results.recoveries.get(self._last_outage, 0.0))
            self._results.recoveries[self._last_outage] = took
        if credentials and not before.failures:
            self._results.min_served_lifetime = min(self._results.min_served_lifetime, credentials.expires_at - now)


def format_results(results: Results, outages: tuple[Outage, ...] = OUTAGES) -> str:
    """Format the results and their limits as docs/sidecar.md contains them."""
    lifetime = f"{results.min_served_lifetime:,.0f}".replace(",", " ")
    peak = f"highest share of the fleet that called STS in one second after it ({MAX_PEAK_SHARE:.0%})"
    lines = [
        f"- most STS calls by one pod on a day without an outage: {results.max_daily_calls} ({MAX_DAILY_CALLS});",
        f"- shortest remaining lifetime that clients got while STS worked: {lifetime} s ({MIN_SERVED_LIFETIME});",
        f"- expired credentials that clients got: {results.expired_served} (0).",
        "",
        f"| outage | lasts | {peak} | last pod recovered after ({MAX_RECOVERY_SECONDS} s) |",
        "|---|---|---|---|",
    ]
    for outage in outages:
        share, recovery = f"{results.peak_share(outage):.1%}", f"{results.recoveries.get(outage, 0):.0f} s"
        lines.append(f"| {outage.cause} | {outage.duration} | {share} | {recovery} |")
    return "\n".join(lines).replace("%", " %")


if __name__ == "__main__":
    print(format_results(simulate()))  # noqa: T201 - the output
