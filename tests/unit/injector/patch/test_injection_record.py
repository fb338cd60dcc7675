"""The record of what podrole added: built at the first injection, kept at the second, bounded."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import contract
from injector.patch.injection_record import MAX_ANNOTATIONS_BYTES, MAX_STATUS_BYTES
from injector.patch.no_proxy import NO_PROXY_VALUE
from injector.patch.pod_uid import POD_UID
from injector.patch.uninject import build_uninject_patch, plan_uninjection
from testing.cases import CONFIG, Case, Pod, build_case, find_container, load_case

STATUS = "podrole.io/status"
URI_VARIABLES = {
    "PODROLE_POD_UID": "metadata.uid",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/$(PODROLE_POD_UID)",
}
ADDED = {
    **URI_VARIABLES,
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
}
PROXY = {"name": "HTTPS_PROXY", "value": "http://proxy:3128"}


def case_with(*env: dict[str, Any]) -> Case:
    return build_case(containers=[{"name": "app", "image": "example/app:1", "env": [*env]}])


def status_of(pod: Pod) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(pod["metadata"]["annotations"][STATUS])
    return status


def records_of(pod: Pod) -> Any:
    return status_of(pod)["added"]["containers"]


def build_forged_status(**containers: Any) -> str:
    return json.dumps({"added": {"containers": containers}})


def test_record_lists_everything_that_was_added() -> None:
    added = status_of(load_case("init-containers").inject())["added"]

    assert added == {
        "initContainers": ["podrole-redirect", "podrole-sidecar"],
        "volumes": ["podrole-token"],
        "containers": {name: {"env": ADDED} for name in ("migrate", "log-shipper", "app", "helper")},
    }


def test_record_lists_only_variables_that_the_author_did_not_write() -> None:
    case = case_with({"name": "AWS_REGION", "value": "eu-west-1"})

    assert records_of(case.inject()) == {"app": {"env": {**URI_VARIABLES, "AWS_DEFAULT_REGION": "eu-west-1"}}}


def test_record_lists_what_was_appended_to_no_proxy() -> None:
    records = records_of(case_with(PROXY, {"name": "NO_PROXY", "value": "a"}).inject())

    assert records["app"]["appended"] == {"NO_PROXY": f",{NO_PROXY_VALUE}"}
    assert records["app"]["env"]["no_proxy"] == f"{NO_PROXY_VALUE},a"


@pytest.mark.parametrize(
    ("variable", "key"),
    [
        pytest.param({"name": "AWS_REGION", "value": ""}, "appended", id="empty"),
        pytest.param({"name": "AWS_REGION"}, "filled", id="without-value"),
    ],
)
def test_record_lists_the_value_of_an_empty_variable(variable: Pod, key: str) -> None:
    case = case_with(variable)
    once = case.inject()

    assert records_of(once)["app"][key] == {"AWS_REGION": "eu-west-1"}
    assert records_of(case.with_pod(once).inject()) == records_of(once)


def test_container_to_which_nothing_was_added_is_not_in_the_record() -> None:
    case = case_with(POD_UID, *({"name": name, "value": ADDED[name]} for name in ADDED if name != POD_UID["name"]))

    assert records_of(case.inject()) == {}


def test_blocked_pod_has_an_empty_record() -> None:
    added = status_of(load_case("no-role").inject())["added"]

    assert added == {"initContainers": ["podrole-redirect"], "volumes": ["podrole-token"], "containers": {}}


def test_pod_without_role_is_blocked_whatever_type_its_env_has() -> None:
    case = build_case(containers=[{"name": "app", "env": True}])
    case.pod["metadata"]["annotations"] = {}

    assert records_of(case.inject()) == {}


def test_containers_without_a_unique_name_are_recorded_by_position() -> None:
    case = build_case(
        initContainers=[{"name": "podrole-sidecar"}, {"name": "a"}],
        containers=[{"name": "a"}, {"image": "b:1"}, {"name": "c"}, {"image": "d:1"}],
    )

    records = records_of(
        case.with_pod(
            {
                **case.pod,
                "metadata": case.pod["metadata"]
                | {"annotations": {"iam.amazonaws.com/role": "reader", STATUS: build_forged_status()}},
            }
        ).inject()
    )

    assert list(records) == ["initContainers[0]", "containers[0]", "containers[1]", "c", "containers[3]"]


def test_container_that_was_added_between_two_injections_is_recorded() -> None:
    case = build_case()
    injected = case.inject()
    injected["spec"]["containers"].append({"name": "proxy", "image": "example/proxy:1"})

    assert records_of(case.with_pod(injected).inject()) == {"app": {"env": ADDED}, "proxy": {"env": ADDED}}


def test_proxy_that_was_added_between_two_injections_extends_the_record() -> None:
    case = build_case()
    injected = case.inject()
    find_container(injected, "app")["env"].append(PROXY)

    again = case.with_pod(injected).inject()

    assert records_of(again)["app"]["env"] == ADDED | dict.fromkeys(("NO_PROXY", "no_proxy"), NO_PROXY_VALUE)


def test_no_proxy_that_was_emptied_between_two_injections_stays_in_the_record() -> None:
    case = case_with(PROXY, {"name": "NO_PROXY", "value": "a"})
    injected = case.inject()
    find_container(injected, "app")["env"][1]["value"] = "b"

    again = case.with_pod(injected).inject()

    assert records_of(again)["app"]["appended"] == {"NO_PROXY": f",{NO_PROXY_VALUE}"}


@pytest.mark.parametrize(
    "record",
    [
        pytest.param({"env": {"HOME": "/"}}, id="variable-that-podrole-never-adds"),
        pytest.param({"env": {"AWS_REGION": "us-east-1"}}, id="other-value"),
        pytest.param({"env": {"AWS_ENDPOINT_URL": "https://store.example"}}, id="missing-variable"),
        pytest.param({"env": {"PODROLE_POD_UID": "metadata.name"}}, id="another-field"),
        pytest.param({"appended": {"NO_PROXY": ",b"}}, id="suffix-that-is-not-there"),
        pytest.param({"appended": {"NO_PROXY": ""}}, id="empty-suffix"),
        pytest.param({"appended": {"HOME": "/"}}, id="suffix-of-another-variable"),
        pytest.param({"appended": {"AWS_REGION": "-1"}}, id="suffix-of-a-region"),
        pytest.param({"filled": {"HOME": "/"}}, id="filled-variable-of-another-name"),
        pytest.param({"filled": {"NO_PROXY": "a"}}, id="filled-list"),
        pytest.param({"filled": {"AWS_REGION": ""}}, id="filled-with-nothing"),
        pytest.param({"filled": {"AWS_REGION": "other"}}, id="filled-with-another-value"),
        pytest.param({"unknown": {}}, id="unknown-key"),
    ],
)
def test_forged_entry_is_removed_from_the_record(record: Any) -> None:
    case = case_with({"name": "HOME", "value": "/"}, {"name": "NO_PROXY", "value": "a"})
    before, after = copy.deepcopy(case.pod), case.inject()
    before["metadata"]["annotations"][STATUS] = build_forged_status(app=record, other=record)
    merged = {**record, "env": ADDED | record.get("env", {})}
    after["metadata"]["annotations"][STATUS] = build_forged_status(app=merged, other=record)

    assert records_of(case.with_pod(before).inject()) == {"app": {"env": ADDED}}
    kept = {name: value for name, value in ADDED.items() if merged["env"][name] == value}
    assert records_of(case.with_pod(after).inject()) == {"app": {"env": kept}}


def test_forged_record_changes_nothing_but_the_record() -> None:
    region = {"name": "AWS_REGION", "value": "eu-west-1"}
    case = case_with(region)
    forged = copy.deepcopy(case.pod)
    forged["metadata"]["annotations"][STATUS] = build_forged_status(app={"env": {"AWS_REGION": "eu-west-1"}})

    injected = case.with_pod(forged).inject()

    assert injected["spec"] == case.inject()["spec"]
    assert status_of(injected) | {"added": None} == status_of(case.inject()) | {"added": None}


def test_outdated_status_is_rewritten_and_the_record_kept() -> None:
    case = build_case()
    injected = case.inject()
    status = status_of(injected) | {"version": "0.0.1", "role": "arn:aws:iam::111122223333:role/admin", "mode": "block"}
    injected["metadata"]["annotations"][STATUS] = json.dumps(status)

    assert case.with_pod(injected).inject() == case.inject()


@pytest.mark.parametrize("status", [None, "{", '{"added": {"containers": null}}'], ids=["none", "broken", "null"])
def test_injected_pod_without_readable_record_is_marked_so(status: str | None) -> None:
    case = build_case()
    injected = case.inject()
    annotations = injected["metadata"]["annotations"]
    annotations.pop(STATUS)
    annotations |= {STATUS: status} if status else {}

    again = case.with_pod(injected).inject()

    assert records_of(again) is None
    assert case.with_pod(again).inject() == again
    assert not plan_uninjection(again).is_recorded


def test_pod_that_was_injected_with_other_settings_keeps_its_record() -> None:
    case = build_case()

    again = case.with_pod(case.inject(CONFIG._replace(region="us-east-1"))).inject()

    assert records_of(again)["app"]["env"]["AWS_REGION"] == "us-east-1"


def test_record_of_an_injected_pod_that_lost_its_role_is_kept() -> None:
    case = build_case()
    injected = case.inject()
    del injected["metadata"]["annotations"]["iam.amazonaws.com/role"]

    blocked = case.with_pod(injected).inject()

    assert status_of(blocked)["mode"] == "block"
    assert "env" not in find_container(build_uninject_patch(blocked).apply(blocked), "app")


def test_record_of_100_containers_with_a_proxy_fits() -> None:
    env = [PROXY, {"name": "NO_PROXY", "value": ".cluster.local"}]
    case = build_case(containers=[{"name": f"app-{number}", "env": env} for number in range(100)])

    assert len(records_of(case.inject())) == 100


@pytest.mark.parametrize(
    ("hosts", "others"),
    [
        pytest.param(MAX_STATUS_BYTES, 0, id="longer-than-64-KiB"),
        pytest.param(1, MAX_ANNOTATIONS_BYTES - 500, id="other-annotations-leave-no-room"),
    ],
)
def test_record_that_is_too_long_is_left_out_and_reported(hosts: int, others: int) -> None:
    case = case_with(PROXY, {"name": "NO_PROXY", "value": "a" * hosts})
    case.pod["metadata"]["annotations"]["example.com/notes"] = "é" * (others // 2)

    injected = case.inject()

    assert records_of(injected) is None
    assert len(injected["metadata"]["annotations"][STATUS]) < 500
    assert case.with_pod(injected).inject() == injected
    assert not plan_uninjection(injected).is_recorded


def test_record_beside_large_annotations_is_kept_while_there_is_room() -> None:
    case = build_case()
    injected = case.inject()
    used = sum(len(key) + len(value) for key, value in injected["metadata"]["annotations"].items())
    room = MAX_ANNOTATIONS_BYTES - used - len("example.com/notes")
    for notes, is_recorded in (("a" * room, True), ("a" * (room + 1), False)):
        case.pod["metadata"]["annotations"]["example.com/notes"] = notes

        assert (records_of(case.inject()) is not None) is is_recorded


NAMES = st.sampled_from([*ADDED, "NO_PROXY", "no_proxy", "HOME"])
VALUES = st.sampled_from([*ADDED.values(), "a", f"a,{NO_PROXY_VALUE}", NO_PROXY_VALUE])
VARIABLES = st.fixed_dictionaries({"name": NAMES, "value": VALUES}) | st.just(POD_UID)
TEXTS = st.dictionaries(NAMES, VALUES | st.just(f",{NO_PROXY_VALUE}"))
FORGED_RECORDS = st.dictionaries(
    st.sampled_from(["app", "other"]),
    st.fixed_dictionaries({}, optional={"env": TEXTS, "appended": TEXTS, "filled": TEXTS}),
)


@settings(max_examples=200, deadline=None)
@given(env=st.lists(VARIABLES, max_size=5), records=FORGED_RECORDS, is_injected=st.booleans())
def test_any_forged_record_costs_at_most_variables_that_podrole_adds(
    env: list[Pod],
    records: Any,
    is_injected: bool,  # noqa: FBT001 - hypothesis names it
) -> None:
    case = case_with(PROXY, *env)
    forged = case.inject() if is_injected else copy.deepcopy(case.pod)
    forged["metadata"]["annotations"][STATUS] = build_forged_status(**records)

    injected = case.with_pod(forged).inject()
    restored = build_uninject_patch(injected).apply(injected)

    assert injected["spec"] == case.inject()["spec"]
    assert case.with_pod(injected).inject() == injected
    assert restored["spec"].keys() == case.pod["spec"].keys()
    others = [one for one in find_container(restored, "app")["env"] if one["name"] in {"HOME", PROXY["name"]}]
    assert others == [PROXY, *(variable for variable in env if variable["name"] == "HOME")]
    assert status_of(injected)["version"] == contract.VERSION
