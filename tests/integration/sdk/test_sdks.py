"""Every SDK, by every way that it knows, in an injected pod: with keys, without, in an outage, and over to new keys.

sdks.yaml says what each one does. The tests stand in the order of a story: what the first ones begin needs a minute.
"""

import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib import metadata

import pytest

from testing.demo_node import ACCOUNT, NODE_SESSION, STS_URL
from testing.pods import Pod
from tests.integration.sdk.apps import METADATA_ENDPOINT, MODES, App, Said
from tests.integration.sdk.calls import Told, follow, use_dry, use_recovered, use_renewed
from tests.integration.sdk.sdk_environment import SHORT_SESSION_SECONDS, Case, Outcomes, SdkEnvironment
from tests.integration.sdk.table import KEEPS, SDKS, Behaviour

CASES = [(sdk.name, way) for sdk in SDKS.values() for way in sdk.ways]
every_sdk = pytest.mark.parametrize("case", CASES, ids=["-".join(case) for case in CASES], indirect=True)

REFUSAL = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
BUSY_SECONDS = 30
"""What a call may take longer on a busy machine: all SDKs work at once."""

EARLY_SECONDS = 20
"""How long before the end of their keys some SDKs take new ones."""

NODE = f"arn:aws:sts::{ACCOUNT}:assumed-role/{{role}}/{NODE_SESSION}"

ROTATION_PORT, DOWN_PORT, REFUSED_PORT, OUTAGE_PORT, KEYLESS_PORT = range(5002, 5007)


@pytest.fixture(scope="module")
def background() -> Iterator[ThreadPoolExecutor]:
    """Where scenes wait for what comes next."""
    with ThreadPoolExecutor() as pool:
        yield pool


@pytest.fixture(scope="module")
def rotation(world: SdkEnvironment, background: ThreadPoolExecutor) -> Iterator[Told]:
    """STS answers, and again and again."""
    begun = time.monotonic()
    sts = world.sts("rotation", ROTATION_PORT, SHORT_SESSION_SECONDS)
    with sts, world.play("rotation", ROTATION_PORT) as scene:
        first = scene.ask()
        yield Told(begun, scene, first, background.submit(use_renewed, scene, first))


@pytest.fixture(scope="module")
def outage(world: SdkEnvironment, background: ThreadPoolExecutor) -> Iterator[Told]:
    """STS answered once, every program has keys, and STS is gone."""
    begun = time.monotonic()
    with ExitStack() as stack:
        with world.sts("outage", OUTAGE_PORT):
            pods = stack.enter_context(world.pods("outage", OUTAGE_PORT))
        scene = stack.enter_context(world.scene(pods))
        yield Told(begun, scene, scene.ask(), background.submit(use_dry, scene))


@pytest.fixture(scope="module")
def down(world: SdkEnvironment, background: ThreadPoolExecutor) -> Iterator[Told]:
    """STS has never answered when the programs are asked first, and answers from then on."""
    begun = time.monotonic()
    with world.play("down", DOWN_PORT) as scene:
        first = scene.ask()
        with world.sts("down", DOWN_PORT):
            yield Told(begun, scene, first, background.submit(use_recovered, scene))


@pytest.fixture(scope="module")
def refused(world: SdkEnvironment) -> Outcomes[Said]:
    """STS refused for good."""
    with world.sts("refusing", REFUSED_PORT, 0), world.play("refused", REFUSED_PORT) as scene:
        return scene.ask()


@pytest.fixture(scope="module")
def keyless(world: SdkEnvironment) -> Iterator[Mapping[str, Pod]]:
    """Pods whose STS refuses."""
    with world.sts("keyless", KEYLESS_PORT, 0), world.pods("keyless", KEYLESS_PORT) as pods:
        yield pods


@pytest.fixture(scope="module")
def rotated(rotation: Told) -> Outcomes[Said]:
    """Programs without new keys make calls until their first ones are over; for those that wait longer, time flies."""
    renewed = rotation.later.result()

    def use(case: Case, app: App) -> Said:
        first, said = rotation.first[case].result(), renewed[case].result()
        if said.access_key != first.access_key:
            return said
        return follow(app, first.access_key, SHORT_SESSION_SECONDS, find_behaviour(case).later_line)

    return rotation.scene.each(use)


def find_behaviour(case: Case) -> Behaviour:
    """What the table says."""
    return SDKS[case[0]].ways[case[1]]


def build_identity(scene: str, case: Case) -> str:
    """Who an app of this scene is."""
    return f"arn:aws:sts::111122223333:assumed-role/reader/shop.{scene}-{MODES[case[1]]}"


def check_failure(said: Said, pattern: str, behaviour: Behaviour) -> None:
    """It failed with this error, and in time."""
    assert re.search(pattern, said.error), said
    assert said.seconds < behaviour.fails_within_seconds + BUSY_SECONDS


@every_sdk
@pytest.mark.usefixtures("outage")
def test_with_keys_an_app_is_the_role_of_its_pod(rotation: Told, case: Case) -> None:
    said = rotation.first[case].result()

    assert (said.error, said.arn) == ("", build_identity("rotation", case))


@every_sdk
def test_the_sdk_is_of_the_version_that_the_table_names(rotation: Told, case: Case) -> None:
    name = case[0]

    assert rotation.scene.version(case) == (SDKS[name].version or metadata.version(name))


@every_sdk
def test_before_sts_ever_answered_a_call_fails_as_without_keys(down: Told, case: Case) -> None:
    behaviour = find_behaviour(case)

    check_failure(down.first[case].result(), behaviour.nothing_valid, behaviour)


@every_sdk
def test_after_a_refusal_a_call_fails_as_without_keys(refused: Outcomes[Said], case: Case) -> None:
    behaviour = find_behaviour(case)

    said = refused[case].result()

    check_failure(said, behaviour.refused, behaviour)
    assert (REFUSAL in said.error) == behaviour.tells_why


@every_sdk
def test_once_sts_answers_a_running_app_has_keys(down: Told, case: Case) -> None:
    said = down.later.result()[case].result()

    assert (said.error, said.arn) == ("", build_identity("down", case))


@every_sdk
def test_new_keys_are_used_at_once_or_as_late_as_the_table_says(rotation: Told, case: Case) -> None:
    first, said = rotation.first[case].result(), rotation.later.result()[case].result()

    if find_behaviour(case).is_at_once:
        assert (said.error, said.access_key != first.access_key) == ("", True)
    elif said.at < rotation.begun + SHORT_SESSION_SECONDS - EARLY_SECONDS:
        assert (said.error, said.access_key) == ("", first.access_key)


@every_sdk
def test_in_an_outage_a_running_app_keeps_its_keys_or_fails_in_order(outage: Told, case: Case) -> None:
    behaviour, first, said = find_behaviour(case), outage.first[case].result(), outage.later.result()[case].result()

    if behaviour.outage == KEEPS:
        assert (said.error, said.access_key) == ("", first.access_key)
    else:
        check_failure(said, behaviour.outage, behaviour)


@every_sdk
def test_in_the_end_a_running_app_has_new_keys(rotation: Told, rotated: Outcomes[Said], case: Case) -> None:
    said = rotated[case].result()

    assert (said.error, said.arn) == ("", build_identity("rotation", case))
    assert said.access_key != rotation.first[case].result().access_key


@pytest.mark.parametrize("case", [("js2", "env"), ("java", "env")], ids=["js2", "java"], indirect=True)
def test_in_env_mode_an_app_without_the_second_variable_ends_up_with_the_node(
    world: SdkEnvironment, keyless: Mapping[str, Pod], case: Case
) -> None:
    """After the container endpoint it asks the metadata service, where env mode redirects nothing."""
    settings = ["-u", METADATA_ENDPOINT, f"AWS_ENDPOINT_URL={STS_URL}"]

    with world.start(case, keyless) as app:
        whole = app.ask()
    with world.start(case, keyless, settings) as app:
        half = app.ask()

    assert (whole.arn, half.arn) == ("", NODE.format(role=world.demo_node.node_role)), (whole, half)
