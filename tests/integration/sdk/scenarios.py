"""What happens to STS while the SDKs' programs run, and the calls that they make in each state.

A scenario starts its pods and programs, lets them make a first call, and returns a function that waits for what comes
next. Starting keeps all CPUs busy, so one scenario starts at a time; then all of them wait at the same time.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from tests.integration.sdk.apps import App, CallResult
from tests.integration.sdk.sdk_environment import POLL_SECONDS, Case, Outcomes, SdkEnvironment
from tests.integration.sdk.table import find_behaviour

SHORT_SESSION_SECONDS = 125
"""The sidecar serves what has more than 60 s left, and refreshes after 60 s at the earliest: this leaves no gap."""

SWITCH_SECONDS = 10
"""Some SDKs fetch new keys while a call goes out with the old ones: it is the next one that has them."""

ROTATION_PORT, DOWN_PORT, REFUSED_PORT, OUTAGE_PORT = range(5002, 5006)


@dataclass(frozen=True)
class ScenarioResult:
    """The calls of all programs in one scenario."""

    began: float
    """Monotonic clock, before STS was first called."""

    versions: Outcomes[str]
    """The version of each SDK."""

    first: Outcomes[CallResult]
    later: Outcomes[CallResult] = field(default_factory=dict)
    """After the change that the scenario waits for."""

    last: Outcomes[CallResult] = field(default_factory=dict)
    """After the first keys have expired."""


Finish = Callable[[], ScenarioResult]


def start_outage(environment: SdkEnvironment, stack: ExitStack) -> Finish:
    """STS responds once and then never again. The later call is made when the sidecar has nothing valid left."""
    began = time.monotonic()
    with environment.sts("outage", OUTAGE_PORT):
        pods = stack.enter_context(environment.pods("outage", OUTAGE_PORT))
    scenario = stack.enter_context(environment.start_apps(pods))
    first = scenario.call()

    def finish() -> ScenarioResult:
        scenario.wait_for_key(lambda key: not key)
        return ScenarioResult(began, scenario.versions(), first, later=scenario.call())

    return finish


def start_rotation(environment: SdkEnvironment, stack: ExitStack) -> Finish:
    """STS grants short sessions. The later call follows the rotation, the last one the end of the old keys."""
    began = time.monotonic()
    stack.enter_context(environment.sts("rotation", ROTATION_PORT, SHORT_SESSION_SECONDS))
    scenario = stack.enter_context(environment.scenario("rotation", ROTATION_PORT))
    first = scenario.call()

    def finish() -> ScenarioResult:
        used = {call.result().access_key for call in first.values() if not call.exception()}
        scenario.wait_for_key(lambda key: key != "" and key not in used)
        later = scenario.each(
            lambda case, app: call_until_new_key(app, first[case].result().access_key, SWITCH_SECONDS)
        )
        last = scenario.each(lambda case, app: call_after_expiry(case, app, first[case].result(), later[case].result()))
        return ScenarioResult(began, scenario.versions(), first, later, last)

    return finish


def start_down(environment: SdkEnvironment, stack: ExitStack) -> Finish:
    """STS responds only after the first call. The later call is made when the sidecar has keys."""
    began = time.monotonic()
    scenario = stack.enter_context(environment.scenario("down", DOWN_PORT))
    first = scenario.call()
    stack.enter_context(environment.sts("down", DOWN_PORT))

    def finish() -> ScenarioResult:
        scenario.wait_for_key(bool)
        return ScenarioResult(began, scenario.versions(), first, later=scenario.call())

    return finish


def start_refused(environment: SdkEnvironment, stack: ExitStack) -> Finish:
    """STS denies every request."""
    began = time.monotonic()
    stack.enter_context(environment.sts("refusing", REFUSED_PORT, 0))
    scenario = stack.enter_context(environment.scenario("refused", REFUSED_PORT))
    result = ScenarioResult(began, scenario.versions(), scenario.call())
    return lambda: result


SCENARIOS: Mapping[str, Callable[[SdkEnvironment, ExitStack], Finish]] = {
    "outage": start_outage,
    "rotation": start_rotation,
    "down": start_down,
    "refused": start_refused,
}


def call_after_expiry(case: Case, app: App, first: CallResult, later: CallResult) -> CallResult:
    """The later call if it had new keys, or else the first one that has. Programs that wait longest skip the time."""
    if later.access_key != first.access_key:
        return later
    return call_until_new_key(app, first.access_key, SHORT_SESSION_SECONDS, find_behaviour(*case).later_line)


def call_until_new_key(app: App, old_key: str, seconds: float, line: str = "") -> CallResult:
    """Let a program make calls until one is signed with another key, or the time is over."""
    deadline = time.monotonic() + seconds
    result = app.call(line)
    while result.access_key in {old_key, ""} and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        result = app.call()
    return result
