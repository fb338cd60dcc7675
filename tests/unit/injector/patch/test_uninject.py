"""An injection undone: what an author wrote comes back as it was."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from injector.config import Config
from injector.decision.outcomes import Block, Inject
from injector.patch.app_env import NO_PROXY_VALUE
from injector.patch.uninject import build_uninject_patch
from tests.unit.injector.cases import (
    CONFIG,
    Case,
    Pod,
    add_api_defaults,
    build_case,
    environment_of,
    find_container,
    load_case,
    load_injectable_cases,
)
from tests.unit.injector.generated_pods import normalize

CONFIGS = {
    "redirect": CONFIG,
    "iptables": replace(CONFIG, redirect_backend="iptables", aws_endpoint_url="https://store.example"),
    "env": replace(CONFIG, mode="env"),
    "ipv6-only": replace(CONFIG, ipv6_only=True),
}
CASES = {name: case for name, case in load_injectable_cases().items() if name != "forged"}
INJECTIONS = [
    (mode, name)
    for mode, config in CONFIGS.items()
    for name, case in CASES.items()
    if isinstance(case.decide(config), Inject | Block)
]

PROXY = {"name": "HTTPS_PROXY", "value": "http://proxy:3128"}
OWN_URI = {"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://169.254.170.23/v1/credentials"}
REGION = {"name": "AWS_REGION", "value": CONFIG.region}
OUR_URI = {"name": "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "value": "/v2/credentials"}


def take_out(pod: Pod, config: Config = CONFIG) -> Pod:
    taken: Pod = build_uninject_patch(pod, config).apply(pod)
    return taken


def case_with(*env: dict[str, Any], **fields: Any) -> Case:
    return build_case(containers=[{"name": "app", "image": "example/app:1", "env": [*env], **fields}])


@pytest.mark.parametrize(("mode", "name"), INJECTIONS)
def test_an_injected_pod_can_be_had_back(mode: str, name: str) -> None:
    case, config = CASES[name], CONFIGS[mode]

    taken = take_out(case.inject(config), config)

    assert normalize(taken) == normalize(case.pod)


@pytest.mark.parametrize("name", CASES)
def test_an_injected_pod_can_be_had_back_from_an_api_server(name: str) -> None:
    case = CASES[name]

    taken = take_out(add_api_defaults(case.inject()))

    assert normalize(taken) == normalize(add_api_defaults(case.pod))


@pytest.mark.parametrize("pod", [case.pod for case in CASES.values()], ids=CASES)
def test_of_a_pod_that_was_never_injected_nothing_is_taken(pod: Pod) -> None:
    assert build_uninject_patch(pod, CONFIG).patch == []


def test_only_what_was_put_in_is_named_in_the_patch() -> None:
    operations = build_uninject_patch(load_case("init-containers").inject(), CONFIG).patch

    assert {operation["op"] for operation in operations} == {"remove"}
    assert operations[:2] == [
        {"op": "remove", "path": "/spec/initContainers/1"},
        {"op": "remove", "path": "/spec/initContainers/0"},
    ]
    assert operations[-1] == {"op": "remove", "path": "/metadata/annotations/podrole.io~1status"}


@pytest.mark.parametrize(
    "env",
    [
        [REGION],
        [{"name": "AWS_DEFAULT_REGION", "value": CONFIG.region}],
        [REGION, {"name": "AWS_DEFAULT_REGION", "value": CONFIG.region}],
        [OUR_URI, REGION],
        [OUR_URI, {"name": "LAST", "value": "1"}],
        [OWN_URI],
        [OWN_URI, REGION],
        [{**REGION, "fieldOfTomorrow": 1}],
        [{"name": "AWS_REGION"}],
        [{"name": "AWS_REGION", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['region']"}}}],
    ],
    ids=str,
)
def test_a_variable_of_the_authors_survives_even_with_our_value(env: list[Pod]) -> None:
    case = case_with(*env)

    taken = take_out(case.inject())

    assert find_container(taken, "app")["env"] == env


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(
    "hosts",
    ["", ",", "a", "a,", "a, ", " a , b", "*", "a,*", "a,169.254.169.254", NO_PROXY_VALUE[:-1], f"{NO_PROXY_VALUE},a"],
)
def test_a_list_of_hosts_comes_back_letter_by_letter(name: str, hosts: str) -> None:
    env = [PROXY, {"name": name, "value": hosts}]
    case = case_with(*env)

    injected = case.inject()

    assert "169.254.170.23" in environment_of(find_container(injected, "app"))["no_proxy"] or "*" in hosts
    assert find_container(take_out(injected), "app")["env"] == env


def test_a_list_that_its_author_copied_is_not_taken_for_one_that_was_made() -> None:
    env = [PROXY, OWN_URI, REGION, *({"name": name, "value": "a"} for name in ("NO_PROXY", "no_proxy"))]
    alone = case_with(*env[:-1])
    both = case_with(*env)

    assert find_container(take_out(alone.inject()), "app")["env"] == env[:-1]
    assert find_container(take_out(both.inject()), "app")["env"] == env


def test_a_list_without_a_value_has_none_again() -> None:
    case = case_with(PROXY, {"name": "NO_PROXY"})

    taken = take_out(case.inject())

    assert normalize(taken) == normalize(case.pod)


def test_what_a_container_of_a_blocked_pod_has_is_its_own() -> None:
    case = case_with(OUR_URI, REGION, {"name": "AWS_DEFAULT_REGION", "value": CONFIG.region})
    del case.pod["metadata"]["annotations"]

    taken = take_out(case.inject())

    assert normalize(taken) == normalize(case.pod)


def test_an_author_who_wrote_exactly_what_is_added_cannot_be_told_from_an_injection() -> None:
    """Both pods become the same one, so one of them cannot be had back: what leads to no sidecar goes."""
    plain = case_with()
    copied = plain.with_pod(copy.deepcopy(plain.pod))
    copied.pod["spec"]["containers"][0]["env"] = find_container(plain.inject(), "app")["env"]

    assert copied.inject() == plain.inject()
    assert find_container(take_out(copied.inject()), "app")["env"] == []


def test_what_another_configuration_added_stays() -> None:
    injected = build_case().inject(replace(CONFIG, region="us-east-1"))

    taken = take_out(injected)

    assert environment_of(find_container(taken, "app"))["AWS_REGION"] == "us-east-1"
    assert not taken["spec"]["initContainers"]


def test_reserved_names_go_whoever_wrote_them() -> None:
    case = load_case("forged")

    for pod in (case.pod, case.inject()):
        assert "podrole-" not in str(take_out(pod))
        assert "podrole.io/status" not in take_out(pod)["metadata"]["annotations"]
