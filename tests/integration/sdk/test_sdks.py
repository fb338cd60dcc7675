"""Every SDK in an injected pod, on every way to the sidecar: with keys, without, in an outage, after a rotation.

sdks.yaml has the expected behaviour of each SDK.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from importlib import metadata

import pytest

from testing.demo_node import ACCOUNT, NODE_SESSION, STS_URL
from testing.pods import Pod
from tests.integration.sdk.apps import METADATA_ENDPOINT, MODES, CallResult
from tests.integration.sdk.scenarios import SCENARIOS, SHORT_SESSION_SECONDS, ScenarioResult
from tests.integration.sdk.sdk_environment import Case, SdkEnvironment
from tests.integration.sdk.table import KEEPS, SDKS, Behaviour, find_behaviour

CASES = [(sdk.name, way) for sdk in SDKS.values() for way in sdk.ways]
every_sdk = pytest.mark.parametrize("case", CASES, ids=["-".join(case) for case in CASES], indirect=True)

DENIAL = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
BUSY_SECONDS = 30
"""Extra time for a call on a busy machine: all SDKs work at once."""

EARLY_SECONDS = 20
"""How long before their keys expire some SDKs fetch new ones."""

NODE = f"arn:aws:sts::{ACCOUNT}:assumed-role/{{role}}/{NODE_SESSION}"
KEYLESS_PORT = 5006

GetResult = Callable[[str], ScenarioResult]


@pytest.fixture(scope="module")
def get_result(request: pytest.FixtureRequest, sdk_environment: SdkEnvironment) -> Iterator[GetResult]:
    """Run the scenarios that selected tests need, all of them at the same time."""
    selected = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    results: dict[str, Future[ScenarioResult]] = {}
    with ExitStack() as stack:
        with ThreadPoolExecutor() as pool:
            for name in SCENARIOS:
                if name in selected:
                    results[name] = pool.submit(SCENARIOS[name](sdk_environment, stack))
        yield lambda name: results[name].result()


@pytest.fixture(scope="module")
def outage(get_result: GetResult) -> ScenarioResult:
    """STS stops responding after the first calls."""
    return get_result("outage")


@pytest.fixture(scope="module")
def rotation(get_result: GetResult) -> ScenarioResult:
    """STS grants short sessions."""
    return get_result("rotation")


@pytest.fixture(scope="module")
def down(get_result: GetResult) -> ScenarioResult:
    """STS responds only after the first calls."""
    return get_result("down")


@pytest.fixture(scope="module")
def refused(get_result: GetResult) -> ScenarioResult:
    """STS denies every request."""
    return get_result("refused")


@pytest.fixture(scope="module")
def keyless_pods(sdk_environment: SdkEnvironment) -> Iterator[Mapping[str, Pod]]:
    """Pods whose STS denies every request."""
    with sdk_environment.sts("keyless", KEYLESS_PORT, 0), sdk_environment.pods("keyless", KEYLESS_PORT) as pods:
        yield pods


def build_identity(scenario: str, case: Case) -> str:
    """The identity of an app in this scenario."""
    return f"arn:aws:sts::111122223333:assumed-role/reader/shop.{scenario}-{MODES[case[1]]}"


def check_failure(result: CallResult, pattern: str, behaviour: Behaviour) -> None:
    """Check that a call failed with this error, and in time."""
    assert re.search(pattern, result.error), result
    assert result.seconds < behaviour.fails_within_seconds + BUSY_SECONDS


@every_sdk
def test_app_has_the_role_of_its_pod(rotation: ScenarioResult, case: Case) -> None:
    call = rotation.first[case].result()

    assert (call.error, call.arn) == ("", build_identity("rotation", case))


@every_sdk
def test_sdk_has_the_version_in_the_table(rotation: ScenarioResult, case: Case) -> None:
    name = case[0]

    assert rotation.versions[case].result() == (SDKS[name].version or metadata.version(name))


@every_sdk
def test_call_before_sts_responds_fails_as_without_credentials(down: ScenarioResult, case: Case) -> None:
    behaviour = find_behaviour(*case)

    check_failure(down.first[case].result(), behaviour.nothing_valid, behaviour)


@every_sdk
def test_call_after_sts_denied_fails_as_without_credentials(refused: ScenarioResult, case: Case) -> None:
    behaviour = find_behaviour(*case)

    call = refused.first[case].result()

    check_failure(call, behaviour.refused, behaviour)
    assert (DENIAL in call.error) == behaviour.tells_why


@every_sdk
def test_running_app_has_keys_once_sts_responds(down: ScenarioResult, case: Case) -> None:
    call = down.later[case].result()

    assert (call.error, call.arn) == ("", build_identity("down", case))


@every_sdk
def test_running_app_switches_to_new_keys_when_the_table_says(rotation: ScenarioResult, case: Case) -> None:
    first, later = rotation.first[case].result(), rotation.later[case].result()

    if find_behaviour(*case).is_at_once:
        assert (later.error, later.access_key != first.access_key) == ("", True)
    elif later.at < rotation.began + SHORT_SESSION_SECONDS - EARLY_SECONDS:
        assert (later.error, later.access_key) == ("", first.access_key)


@every_sdk
def test_running_app_in_an_outage_keeps_its_keys_or_fails(outage: ScenarioResult, case: Case) -> None:
    behaviour, first, later = find_behaviour(*case), outage.first[case].result(), outage.later[case].result()

    if behaviour.outage == KEEPS:
        assert (later.error, later.access_key) == ("", first.access_key)
    else:
        check_failure(later, behaviour.outage, behaviour)


@every_sdk
def test_running_app_has_new_keys_when_the_old_ones_expire(rotation: ScenarioResult, case: Case) -> None:
    call = rotation.last[case].result()

    assert (call.error, call.arn) == ("", build_identity("rotation", case))
    assert call.access_key != rotation.first[case].result().access_key


@pytest.mark.parametrize("case", [("js2", "env"), ("java", "env")], ids=["js2", "java"], indirect=True)
def test_env_mode_app_without_the_second_variable_gets_the_node_role(
    sdk_environment: SdkEnvironment, keyless_pods: Mapping[str, Pod], case: Case
) -> None:
    """After the container endpoint it calls the metadata service, which env mode does not redirect."""
    settings = ["-u", METADATA_ENDPOINT, f"AWS_ENDPOINT_URL={STS_URL}"]

    with sdk_environment.start(case, keyless_pods) as app:
        with_variable = app.call()
    with sdk_environment.start(case, keyless_pods, settings) as app:
        without_variable = app.call()

    arns = (with_variable.arn, without_variable.arn)
    assert arns == ("", NODE.format(role=sdk_environment.demo_node.node_role)), (with_variable, without_variable)
