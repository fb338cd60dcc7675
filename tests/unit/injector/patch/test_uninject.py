"""An injection undone: what an author wrote comes back as it was."""

import copy
import json
from typing import Any

import pytest

from injector.decision.outcomes import Block, Inject
from injector.patch.no_proxy import NO_PROXY_VALUE
from injector.patch.pod_uid import CREDENTIALS_PATH
from injector.patch.uninject import build_uninject_patch, plan_uninjection
from injector.value_types import ModePolicy, RedirectBackend
from testing.cases import (
    CONFIG,
    UNANNOTATED,
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
    "iptables": CONFIG._replace(redirect_backend=RedirectBackend.IPTABLES, aws_endpoint_url="https://store.example"),
    "env": CONFIG._replace(mode=ModePolicy.ENV),
    "ipv6-only": CONFIG._replace(ipv6_only=True),
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
DEFAULT_REGION = {"name": "AWS_DEFAULT_REGION", "value": CONFIG.region}
URI = {"name": "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "value": CREDENTIALS_PATH}


def uninject(pod: Pod) -> Pod:
    restored: Pod = build_uninject_patch(pod).apply(pod)
    return restored


def case_with(*env: dict[str, Any], **fields: Any) -> Case:
    return build_case(containers=[{"name": "app", "image": "example/app:1", "env": [*env], **fields}])


def env_of(pod: Pod) -> list[Pod]:
    env: list[Pod] = find_container(pod, "app").get("env") or []
    return env


@pytest.mark.parametrize(("mode", "name"), INJECTIONS)
def test_uninject_restores_injected_pod(mode: str, name: str) -> None:
    case, config = CASES[name], CONFIGS[mode]

    restored = uninject(case.inject(config))

    assert normalize(restored) == normalize(case.pod)


@pytest.mark.parametrize("name", CASES)
def test_uninject_restores_pod_with_the_api_servers_defaults(name: str) -> None:
    case = CASES[name]

    restored = uninject(add_api_defaults(case.inject()))

    assert normalize(restored) == normalize(add_api_defaults(case.pod))


@pytest.mark.parametrize("name", CASES)
def test_uninject_after_second_injection_restores_pod(name: str) -> None:
    case = CASES[name]

    restored = uninject(case.with_pod(case.inject()).inject())

    assert normalize(restored) == normalize(case.pod)


@pytest.mark.parametrize("pod", [case.pod for case in CASES.values()], ids=CASES)
def test_pod_that_was_never_injected_is_unchanged(pod: Pod) -> None:
    assert build_uninject_patch(pod).patch == []


def test_patch_has_only_removals_of_what_was_added() -> None:
    operations = build_uninject_patch(load_case("init-containers").inject()).patch

    assert {operation["op"] for operation in operations} == {"remove"}
    assert operations[:2] == [
        {"op": "remove", "path": "/spec/initContainers/1"},
        {"op": "remove", "path": "/spec/initContainers/0"},
    ]
    assert operations[-2:] == [
        {"op": "remove", "path": "/metadata/annotations/podrole.io~1status"},
        {"op": "remove", "path": "/metadata/labels"},
    ]


@pytest.mark.parametrize(
    "env",
    [
        pytest.param([REGION], id="region"),
        pytest.param([DEFAULT_REGION], id="default-region"),
        pytest.param([REGION, DEFAULT_REGION], id="both-regions"),
        pytest.param([URI, REGION], id="uri-and-region"),
        pytest.param([URI, REGION, DEFAULT_REGION], id="all-that-podrole-adds"),
        pytest.param([URI, {"name": "LAST", "value": "1"}], id="uri-and-another-variable"),
        pytest.param([OWN_URI], id="other-uri"),
        pytest.param([OWN_URI, REGION], id="other-uri-and-region"),
        pytest.param([{**REGION, "fieldOfTomorrow": 1}], id="unknown-field"),
        pytest.param([{"name": "AWS_REGION"}], id="no-value"),
        pytest.param(
            [{"name": "AWS_REGION", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['region']"}}}],
            id="value-from-a-label",
        ),
    ],
)
def test_authors_variable_stays_even_with_the_value_that_podrole_sets(env: list[Pod]) -> None:
    case = case_with(*env)

    once, twice = case.inject(), case.with_pod(case.inject()).inject()

    assert env_of(uninject(once)) == env_of(uninject(twice)) == env


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(
    "hosts",
    [
        *["", ",", "a", "a,", "a, ", " a , b", "*", "a,*", "a,169.254.169.254"],
        *[NO_PROXY_VALUE, NO_PROXY_VALUE[:-1], f"{NO_PROXY_VALUE},a", f"a,{NO_PROXY_VALUE}"],
    ],
)
def test_no_proxy_is_restored_exactly(name: str, hosts: str) -> None:
    env = [PROXY, {"name": name, "value": hosts}]
    case = case_with(*env)

    injected = case.inject()

    assert "169.254.170.23" in environment_of(find_container(injected, "app"))["no_proxy"] or "*" in hosts
    assert env_of(uninject(injected)) == env


def test_no_proxy_that_its_author_wrote_twice_is_restored() -> None:
    env = [PROXY, OWN_URI, REGION, *({"name": name, "value": "a"} for name in ("NO_PROXY", "no_proxy"))]
    one, two = case_with(*env[:-1]), case_with(*env)

    assert env_of(uninject(one.inject())) == env[:-1]
    assert env_of(uninject(two.inject())) == env


def test_no_proxy_without_value_is_restored_as_empty() -> None:
    case = case_with(PROXY, {"name": "NO_PROXY"})

    restored = uninject(case.inject())

    assert normalize(restored) == normalize(case.pod)


def test_hosts_added_to_no_proxy_after_the_injection_stay() -> None:
    injected = case_with(PROXY, {"name": "NO_PROXY", "value": "a"}, {"name": "no_proxy", "value": "a"}).inject()
    variable = next(variable for variable in env_of(injected) if variable["name"] == "NO_PROXY")
    variable["value"] = f"new,{variable['value']}"

    assert environment_of(find_container(uninject(injected), "app"))["NO_PROXY"] == "new,a"


def test_containers_of_a_blocked_pod_keep_their_variables() -> None:
    case = case_with(URI, REGION, DEFAULT_REGION)
    del case.pod["metadata"]["annotations"]

    restored = uninject(case.inject())

    assert normalize(restored) == normalize(case.pod)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(CONFIG._replace(region="us-east-1"), id="other-region"),
        pytest.param(CONFIG._replace(aws_endpoint_url="https://store.example"), id="endpoint"),
        pytest.param(CONFIG._replace(mode=ModePolicy.ENV), id="env-mode"),
    ],
)
def test_injection_with_other_settings_is_taken_back_after_an_injection_with_todays(config: Any) -> None:
    case = case_with(PROXY, {"name": "NO_PROXY", "value": "a"})
    injected = case.inject(config)

    assert normalize(uninject(injected)) == normalize(case.pod)
    assert normalize(uninject(case.with_pod(injected).inject())) == normalize(case.pod)


@pytest.mark.parametrize("position", [0, 1, 3], ids=["first", "between", "last"])
def test_variables_that_another_webhook_added_stay(position: int) -> None:
    case, added = build_case(), {"name": "LATER", "value": "1"}
    injected = case.inject()
    env_of(injected).insert(position, added)

    assert env_of(uninject(injected)) == [added]
    assert env_of(uninject(case.with_pod(injected).inject())) == [added]


def test_containers_are_found_by_name_wherever_they_are_now() -> None:
    case = build_case(containers=[{"name": "app", "image": "a/b:1"}, {"name": "helper", "image": "a/b:1"}])
    injected = case.inject()
    injected["spec"]["containers"].reverse()
    injected["spec"]["initContainers"].insert(0, {"name": "new", "image": "a/b:1"})

    restored = uninject(injected)

    assert restored["spec"]["containers"] == case.pod["spec"]["containers"][::-1]
    assert restored["spec"]["initContainers"] == [{"name": "new", "image": "a/b:1"}]


def test_variable_that_was_changed_after_the_injection_stays_and_is_reported() -> None:
    injected = case_with(PROXY, {"name": "NO_PROXY", "value": "a"}).inject()
    for variable in env_of(injected):
        if variable["name"] in {"AWS_REGION", "NO_PROXY"}:
            variable["value"] = "changed"

    uninjection = plan_uninjection(injected)

    assert uninjection.changed_variables == (("app", "AWS_REGION"), ("app", "NO_PROXY"))
    changed = [{"name": "NO_PROXY", "value": "changed"}, {"name": "AWS_REGION", "value": "changed"}]
    assert env_of(uninject(injected)) == [PROXY, *changed]


def test_variable_that_was_removed_after_the_injection_is_not_reported() -> None:
    injected = build_case().inject()
    del env_of(injected)[0]

    assert plan_uninjection(injected).changed_variables == ()
    assert env_of(uninject(injected)) == []


@pytest.mark.parametrize(
    "status",
    [
        *["", "{", "null", "[]", "7", '"x"', "{}", '{"added": 1}', '{"added": {}}', '{"added": {"containers": null}}'],
        *['{"added": {"containers": []}}', '{"added": {"containers": {"app": null}}}'],
        *['{"added": {"containers": {"app": {"env": [1]}}}}', '{"added": {"containers": {"app": {"env": {"A": 1}}}}}'],
        pytest.param("[" * 60_000, id="nested-too-deeply"),
        pytest.param(f'{{"added": {{"containers": {{}}}}}}{" " * 70_000}', id="too-long"),
    ],
)
def test_pod_without_readable_record_keeps_its_variables_and_is_reported(status: str) -> None:
    case = build_case()
    injected = case.inject()
    env = copy.deepcopy(env_of(injected))
    injected["metadata"]["annotations"]["podrole.io/status"] = status

    uninjection = plan_uninjection(injected)
    restored = uninject(injected)

    assert not uninjection.is_recorded
    assert restored == {**case.pod, "spec": {"containers": [{**case.pod["spec"]["containers"][0], "env": env}]}}


def test_blocked_pod_without_record_is_not_reported() -> None:
    blocked = load_case("no-role").inject()
    del blocked["metadata"]["annotations"]["podrole.io/status"]

    assert plan_uninjection(blocked).is_recorded


@pytest.mark.parametrize(
    ("env", "appended"),
    [
        pytest.param([], {"NO_PROXY": ""}, id="variable is missing and suffix is empty"),
        pytest.param([{"name": "NO_PROXY"}], {"NO_PROXY": ""}, id="variable has no value and suffix is empty"),
        pytest.param([{"name": "NO_PROXY", "value": None}], {"NO_PROXY": "one"}, id="value is null"),
        pytest.param([{"name": "HOST", "valueFrom": {}}], {"HOST": ""}, id="value comes from elsewhere"),
    ],
)
def test_forged_suffix_of_a_variable_without_value_changes_nothing(env: list[Pod], appended: dict[str, str]) -> None:
    pod = build_case(containers=[{"name": "app", "image": "example/app:1", "env": env}]).pod
    original = copy.deepcopy(pod)
    status = json.dumps({"added": {"containers": {"app": {"appended": appended}}}})
    pod["metadata"]["annotations"]["podrole.io/status"] = status

    assert build_uninject_patch(pod).apply(pod) == original


def test_lists_and_objects_that_become_empty_are_removed() -> None:
    case = build_case()
    del case.pod["metadata"]

    restored = uninject(Case(case.pod, case.namespace, UNANNOTATED).inject())

    assert json.dumps(restored, sort_keys=True) == json.dumps(case.pod, sort_keys=True)


def test_element_of_a_list_that_becomes_empty_stays() -> None:
    pod = {
        "spec": {"containers": [{"volumeMounts": [{"name": "podrole-token"}]}, {"name": "podrole-x"}, {"name": "b"}]}
    }

    assert uninject(pod) == {"spec": {"containers": [{}, {"name": "b"}]}}


def test_reserved_names_are_removed_whoever_wrote_them() -> None:
    case = load_case("forged")

    for pod in (case.pod, case.inject()):
        assert "podrole-" not in str(uninject(pod))
        assert "podrole.io/status" not in str(uninject(pod))


def test_written_labels_are_removed_whoever_wrote_them_and_others_stay() -> None:
    case = build_case()
    case.pod["metadata"]["labels"] = {"podrole.io/mode": "env", "app": "shop", "podrole.io/version": "9"}

    for pod in (case.pod, case.inject()):
        assert uninject(pod)["metadata"]["labels"] == {"app": "shop"}


def test_labels_without_others_are_removed_as_a_whole() -> None:
    assert "labels" not in uninject(build_case().inject())["metadata"]
