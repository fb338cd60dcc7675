"""Thirty days of a fleet of pods against an STS with outages and throttling, driven by the real refresh schedule.

Nothing sleeps; only the time that a child process takes is modelled. Pods share nothing but the count of their calls,
so each is simulated to its end before the next. This prints the figures:

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
ANSWER_SECONDS = 0.3
AGAIN_SECONDS = 0.7
"""Between two attempts of one child, about as tenacity spaces them."""

STARTS_SECONDS = 60
"""A rollout: all pods start within it."""

ROLE_ARN = "arn:aws:iam::111122223333:role/reader"
UNREACHABLE = Failure("EndpointConnectionError", "Could not connect", is_permanent=False)
THROTTLED = Failure("Throttling", "Rate exceeded", is_permanent=False)


class Outage(NamedTuple):
    """A time in which STS refuses a share of all calls."""

    begins: float
    seconds: float
    failure: Failure = UNREACHABLE
    share: float = 1.0

    @property
    def ends(self) -> float:
        """The first moment at which all is well again."""
        return self.begins + self.seconds


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
    """What came of it."""

    pods: int
    days: int
    calls: "array[int]"
    """Calls of STS in each second, by the whole fleet."""

    most_calls_on_a_quiet_day: int = 0
    """By one pod, on a day without trouble."""

    dead_served: int = 0
    """Documents that a client would have been given after their end."""

    least_life_served: float = SESSION_SECONDS
    """Seconds of life left in the oldest document that was handed out while STS worked."""

    recoveries: dict[Outage, float] = field(default_factory=dict)
    """Seconds from the end of a trouble until the last of the pods that it had struck had new credentials."""

    def find_peak(self, trouble: Outage) -> float:
        """The largest share of the fleet that called in one second, in the two hours after a trouble."""
        end = int(trouble.ends)
        return max(self.calls[end : end + 2 * 3600]) / self.pods


def simulate(pods: int = 1000, days: int = 30, troubles: tuple[Outage, ...] = OUTAGES, seed: int = 1) -> Results:
    """Follow every pod, each with a chance of its own."""
    figures = Results(pods, days, array("H", bytes(2 * days * DAY_SECONDS)))
    for pod in range(pods):
        Pod(figures, troubles, random.Random(f"{seed} {pod}")).run()
    return figures


class Pod:
    """One sidecar, from its start to the end of the simulation."""

    def __init__(self, figures: Results, troubles: tuple[Outage, ...], chance: random.Random) -> None:
        self._figures = figures
        self._to_come = [NEVER, *troubles[::-1]]
        self._past, self._next = LONG_AGO, self._to_come.pop()
        self._troubled_days = {int(moment // DAY_SECONDS) for one in troubles for moment in (one.begins, one.ends)}
        self._chance = chance
        self._calls = [0] * figures.days

    def run(self) -> None:
        """Go from one attempt to the next."""
        end = self._figures.days * DAY_SECONDS
        now = self._chance.random() * STARTS_SECONDS
        state = State(refresh_at=now)
        while now < end:
            outcome, now = self._fetch(now, state.attempts)
            before, state = state, next_state(state, outcome, now, self._chance.random())
            self._look(before, outcome, now)
            now = max(now, state.refresh_at)
        quiet = (calls for day, calls in enumerate(self._calls) if day not in self._troubled_days)
        self._figures.most_calls_on_a_quiet_day = max(self._figures.most_calls_on_a_quiet_day, *quiet)

    def _fetch(self, now: float, attempts: int) -> tuple[Credentials | Failure, float]:
        """What one child brings, and when it is back."""
        refusal = self._ask(now)
        while refusal and attempts > 1:
            attempts -= 1
            now += AGAIN_SECONDS
            refusal = self._ask(now)
        if refusal:
            return refusal, now + ANSWER_SECONDS
        second = int(now)
        return Credentials(ROLE_ARN, "A", "s", "t", second, second + SESSION_SECONDS), now + ANSWER_SECONDS

    def _ask(self, now: float) -> Failure | None:
        second = int(now)
        day = second // DAY_SECONDS
        if day < self._figures.days:
            self._figures.calls[second] += 1
            self._calls[day] += 1
        while now >= self._next.ends:
            self._past, self._next = self._next, self._to_come.pop()
        if now >= self._next.begins and self._chance.random() < self._next.share:
            return self._next.failure
        return None

    def _look(self, before: State, outcome: Credentials | Failure, now: float) -> None:
        """See what clients were given until now, and whether this is a recovery."""
        kept = before.credentials
        if kept and now >= kept.expires_at and before.servable(kept.expires_at) is kept:
            self._figures.dead_served += 1
        if isinstance(outcome, Failure):
            return
        if before.failed_at and before.failed_at < self._past.ends + ANSWER_SECONDS:
            took = max(now - self._past.ends, self._figures.recoveries.get(self._past, 0.0))
            self._figures.recoveries[self._past] = took
        if kept and not before.failures:
            self._figures.least_life_served = min(self._figures.least_life_served, kept.expires_at - now)


def format_table(figures: Results, troubles: tuple[Outage, ...] = OUTAGES) -> str:
    """The figures, as docs/sidecar.md has them."""
    lines = [
        f"{figures.pods} pods, {figures.days} days, {sum(figures.calls)} calls of STS",
        f"most calls by one pod on a day without trouble: {figures.most_calls_on_a_quiet_day}",
        f"least life of a document handed out while STS worked: {figures.least_life_served:.0f} s",
        f"expired documents handed out: {figures.dead_served}",
        "",
        "| trouble | lasts | peak after it, share of the fleet in one second | last pod recovered after |",
        "|---|---|---|---|",
    ]
    for trouble in troubles:
        name = f"{trouble.failure.code}, {trouble.share:.0%} of calls"
        lasts, peak = f"{trouble.seconds / 60:.0f} min", f"{figures.find_peak(trouble):.1%}"
        lines.append(f"| {name} | {lasts} | {peak} | {figures.recoveries.get(trouble, 0):.0f} s |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(format_table(simulate()))  # noqa: T201 - the figures are what it is for
