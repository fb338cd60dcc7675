"""Properties of an injection that hold for every pod.

The environment variable PODROLE_TEST_EXAMPLES sets the number of pods per test and configuration.
"""

import copy
import json
import os
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import assume, event, given, settings
from jsonpatch import JsonPatch

from injector.config import Config
from injector.decision.outcomes import Block, Inject
from injector.errors import ObjectError
from injector.k8s.objects import is_reserved
from injector.patch.json_patch import build_patch
from injector.patch.no_proxy import NO_PROXIES, NO_PROXY_VALUE
from injector.patch.plan import plan_injection
from injector.patch.pod_uid import POD_UID
from injector.patch.regions import REGION_VARIABLES
from injector.patch.template import load_template
from injector.patch.uninject import build_uninject_patch
from injector.value_types import ModePolicy, RedirectBackend
from testing.cases import CONFIG, Case, Pod, add_api_defaults, all_containers
from tests.unit.injector.generated_pods import ADDED_VALUES, CASES, FORGED_CASES, build_invalid_cases, normalize

EXAMPLES = int(os.environ.get("PODROLE_TEST_EXAMPLES", "150"))
RUN = settings(max_examples=EXAMPLES, deadline=None)
CONFIGS = [
    pytest.param(CONFIG, id="redirect"),
    pytest.param(
        CONFIG._replace(redirect_backend=RedirectBackend.IPTABLES, aws_endpoint_url=ADDED_VALUES["AWS_ENDPOINT_URL"]),
        id="redirect-iptables",
    ),
    pytest.param(CONFIG._replace(mode=ModePolicy.ENV), id="env"),
    pytest.param(CONFIG._replace(ipv6_only=True), id="ipv6-only"),
]

WRITTEN = {"podrole.io/status", "podrole.io/mode", "podrole.io/version"}

load = cache(load_template)


def find_patch(case: Case, config: Config) -> JsonPatch | None:
    """Build the patch; None for a pod that is skipped or denied."""
    decision = case.decide(config)
    event(f"outcome: {type(decision).__name__}")
    if not isinstance(decision, Inject | Block):
        return None
    return build_patch(case.pod, plan_injection(decision, case.pod, load(config), config))


def inject(case: Case, config: Config) -> Pod:
    patch = find_patch(case, config)
    assume(patch is not None)
    assert patch is not None
    injected: Pod = patch.apply(case.pod)
    return injected


@pytest.mark.parametrize("config", CONFIGS)
@RUN
@given(case=CASES)
def test_injection_adds_its_containers_first_and_keeps_the_rest(config: Config, case: Case) -> None:
    injected = inject(case, config)

    assert_podroles_containers_come_first(injected, config)
    assert to_json(without_podroles(injected)) == to_json(without_podroles(case.pod))
    for before, after in zip(find_environments(case.pod), find_environments(injected), strict=True):
        assert_environment_is_only_extended(before, after)


@pytest.mark.parametrize("config", CONFIGS)
@RUN
@given(case=CASES | FORGED_CASES)
def test_second_injection_changes_nothing(config: Config, case: Case) -> None:
    injected = inject(case, config)

    for pod in (injected, add_api_defaults(without_nulls(injected))):
        second = find_patch(case.with_pod(pod), config)
        assert second is not None
        assert second.patch == []


@pytest.mark.parametrize("config", CONFIGS)
@RUN
@given(case=CASES)
def test_uninject_restores_the_pod(config: Config, case: Case) -> None:
    injected = inject(case, config)

    assert normalize(build_uninject_patch(injected).apply(injected)) == normalize(case.pod)


@pytest.mark.parametrize("config", CONFIGS)
@RUN
@given(case=FORGED_CASES)
def test_reserved_names_and_forged_status_change_only_the_record(config: Config, case: Case) -> None:
    injected = inject(case, config)
    clean = case.with_pod(without_reserved_names(case.pod))

    assert normalize(without_record(injected)) == normalize(without_record(inject(clean, config)))


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(case=build_invalid_cases())
def test_value_of_a_wrong_type_is_refused_or_kept(case: Case) -> None:
    try:
        patch = find_patch(case, CONFIG)
    except ObjectError as error:
        assert "must be" in str(error) or "is of type" in str(error)  # noqa: PT017 - not every case raises
        return

    if patch:
        injected = patch.apply(case.pod)
        restored = build_uninject_patch(injected).apply(injected)
        assert to_json(without_podroles(restored)) == to_json(without_podroles(case.pod))


def test_most_generated_pods_are_injected_or_blocked() -> None:
    outcomes = Counter[str]()

    @settings(max_examples=200, deadline=None)
    @given(case=CASES)
    def count(case: Case) -> None:
        outcomes[type(case.decide()).__name__] += 1

    count()

    assert outcomes["Inject"] > 0.25 * outcomes.total()
    assert outcomes["Block"] > 0.1 * outcomes.total()
    assert outcomes["Inject"] + outcomes["Block"] > 0.6 * outcomes.total()


def assert_podroles_containers_come_first(injected: Pod, config: Config) -> None:
    names = [container.get("name") for container in injected["spec"]["initContainers"]]
    mode = json.loads(injected["metadata"]["annotations"]["podrole.io/status"])["mode"]
    expected = {
        "redirect": ["podrole-redirect", "podrole-sidecar"],
        "env": ["podrole-sidecar"],
        "block": ["podrole-redirect"],
    }[mode]
    assert names[: len(expected)] == expected
    reserved = [container["name"] for container in all_containers(injected) if is_reserved(container)]
    assert reserved == expected
    assert config.mode in {"auto", mode}


def assert_environment_is_only_extended(before: list[Pod], after: list[Pod]) -> None:
    has_uid = after[:1] == [POD_UID] and before[:1] != [POD_UID]
    if has_uid:
        assert not any(variable.get("name") == POD_UID["name"] for variable in before)
        after = after[1:]
    for old, new in zip(before, after, strict=False):
        hosts = f"{old.get('value') or ''},{NO_PROXY_VALUE}"
        assert new == old or (old["name"] in NO_PROXIES and new == {**old, "value": hosts}) or is_filled(old, new)
    added = {variable["name"]: variable["value"] for variable in after[len(before) :]}
    assert len(after) == len(before) + len(added)
    assert not added.keys() & {variable.get("name") for variable in before}
    assert added.keys() <= {*ADDED_VALUES, *NO_PROXIES}
    assert all(ADDED_VALUES.get(key, value) == value for key, value in added.items() if key not in REGION_VARIABLES)
    regions = {variable.get("value") for variable in before if variable.get("name") in REGION_VARIABLES}
    references = {f"$({name})" for name in REGION_VARIABLES}
    assert all(added[key] in {CONFIG.region, *regions, *references} for key in REGION_VARIABLES if key in added)


def is_filled(old: Pod, new: Pod) -> bool:
    """Whether an empty variable of podrole's got a value."""
    is_empty = not old.get("value") and old.get("valueFrom") is None
    return is_empty and old["name"] in ADDED_VALUES and bool(new["value"]) and new == {**old, "value": new["value"]}


def without_podroles(pod: Pod) -> Pod:
    """The pod without everything that has a reserved name, and without variables."""
    pod = without_reserved_names(pod)
    for container in all_containers(pod):
        container.pop("env", None)
    return pod


def without_reserved_names(pod: Pod) -> Pod:
    pod = copy.deepcopy(pod)
    metadata = pod["metadata"] = pod.get("metadata") or {}
    for field in ("annotations", "labels"):
        values = metadata[field] = metadata.get(field) or {}
        if isinstance(values, dict):
            metadata[field] = {key: value for key, value in values.items() if key not in WRITTEN}
    for field in ("initContainers", "containers", "volumes"):
        pod["spec"][field] = [thing for thing in pod["spec"].get(field) or [] if not is_reserved(thing)]
    for container in all_containers(pod):
        container["volumeMounts"] = [m for m in container.get("volumeMounts") or [] if not is_reserved(m)]
    return pod


def without_record(pod: Pod) -> Pod:
    pod = copy.deepcopy(pod)
    annotations = pod["metadata"]["annotations"]
    annotations["podrole.io/status"] = json.loads(annotations["podrole.io/status"]) | {"added": None}
    return pod


def find_environments(pod: Pod) -> Iterator[list[Pod]]:
    for container in all_containers(pod):
        if not is_reserved(container):
            yield container.get("env") or []


def without_nulls(value: Any) -> Any:
    """Remove null fields, as the API server does."""
    if isinstance(value, dict):
        return {key: without_nulls(element) for key, element in value.items() if element is not None}
    return [without_nulls(element) for element in value] if isinstance(value, list) else value


def to_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
