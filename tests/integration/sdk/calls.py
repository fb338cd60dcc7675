"""When the programs of a scene make their calls, and what is kept of them."""

import time
from concurrent.futures import Future
from dataclasses import dataclass

from tests.integration.sdk.apps import App, Said
from tests.integration.sdk.sdk_environment import POLL_SECONDS, Outcomes, StsScenario

AT_ONCE_SECONDS = 10
"""Some SDKs fetch new keys while a call goes out with the old ones: it is the next one that has them."""


@dataclass(frozen=True)
class Told:
    """A scene, and what its programs said."""

    begun: float
    """Before STS was asked, on the monotonic clock."""

    scene: StsScenario
    first: Outcomes[Said]
    """The first call of each program."""

    later: Future[Outcomes[Said]]
    """Their call after what comes next; to wait for it is done elsewhere while other tests run."""


def use_renewed(scene: StsScenario, first: Outcomes[Said]) -> Outcomes[Said]:
    """Wait until the sidecar has new keys, and let every program make a few calls within seconds."""
    used = {said.result().access_key for said in first.values() if not said.exception()}
    scene.wait_for(lambda key: key != "" and key not in used)
    return scene.each(lambda case, app: follow(app, first[case].result().access_key, AT_ONCE_SECONDS))


def use_dry(scene: StsScenario) -> Outcomes[Said]:
    """Wait until the sidecar has nothing valid any more; what the programs have is good for less than a minute."""
    scene.wait_for(lambda key: not key)
    return scene.ask()


def use_recovered(scene: StsScenario) -> Outcomes[Said]:
    """Wait until the sidecar has keys."""
    scene.wait_for(bool)
    return scene.ask()


def follow(app: App, first_key: str, seconds: float, line: str = "") -> Said:
    """Let a program make calls until one is signed with another key, or the time is over."""
    deadline = time.monotonic() + seconds
    said = app.ask(line)
    while said.access_key in {first_key, ""} and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        said = app.ask()
    return said
