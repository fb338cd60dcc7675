import copy
import json
from typing import Any

import pytest

from injector.config import Config
from injector.errors import ConfigError
from injector.patch.uninject import build_uninject_patch
from testing.cases import CONFIG, ENVIRON, Case, Pod, build_case, load_case

PRIVATE = CONFIG._replace(image_pull_secrets=("registry", "mirror.example"))
ALL = [{"name": "registry"}, {"name": "mirror.example"}]
STATUS = "podrole.io/status"


def secrets_of(pod: Pod) -> Any:
    return pod["spec"].get("imagePullSecrets")


def recorded_in(pod: Pod) -> Any:
    return json.loads(pod["metadata"]["annotations"][STATUS])["added"].get("imagePullSecrets")


def uninject(pod: Pod) -> Pod:
    restored: Pod = build_uninject_patch(pod).apply(pod)
    return restored


@pytest.mark.parametrize(
    "value",
    ["Registry", "a b", "a, b", "a,", ",a", "a,,b", "-", "a/b", ",".join(["a"] * 9)],
    ids=["upper-case", "space", "space-after-comma", "end", "begin", "nothing-between", "dash", "slash", "nine"],
)
def test_setting_that_is_no_list_of_secrets_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"PODROLE_IMAGE_PULL_SECRETS is .*up to 8 names of Secrets"):
        Config.from_environ(ENVIRON | {"PODROLE_IMAGE_PULL_SECRETS": value})


def test_setting_lists_each_secret_once() -> None:
    config = Config.from_environ(ENVIRON | {"PODROLE_IMAGE_PULL_SECRETS": "b,a.example,b"})

    assert config.image_pull_secrets == ("b", "a.example")
    assert CONFIG.image_pull_secrets == ()


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param({}, ALL, id="none"),
        pytest.param({"imagePullSecrets": None}, ALL, id="null"),
        pytest.param({"imagePullSecrets": []}, ALL, id="empty"),
        pytest.param({"imagePullSecrets": [{"name": "own"}]}, [{"name": "own"}, *ALL], id="another"),
        pytest.param({"imagePullSecrets": [ALL[1]]}, [ALL[1], ALL[0]], id="one-of-ours"),
        pytest.param({"imagePullSecrets": ALL}, ALL, id="both-of-ours"),
        pytest.param({"imagePullSecrets": [{}]}, [{}, *ALL], id="without-name"),
    ],
)
def test_pod_gets_the_secrets_that_it_lacks_and_uninject_restores_its_own(own: Pod, expected: list[Pod]) -> None:
    case = build_case(**own)

    once = case.inject(PRIVATE)

    assert secrets_of(once) == expected
    assert case.with_pod(once).inject(PRIVATE) == once
    assert (secrets_of(uninject(once)) or []) == (own.get("imagePullSecrets") or [])


def test_blocked_pod_gets_the_secrets_as_its_redirect_has_the_image() -> None:
    assert secrets_of(load_case("no-role").inject(PRIVATE)) == ALL


def test_pod_has_no_secret_and_no_record_of_one_by_default() -> None:
    pod = build_case().inject()

    assert "imagePullSecrets" not in pod["spec"]
    assert recorded_in(pod) is None


def test_record_lists_only_what_was_added() -> None:
    own = build_case(imagePullSecrets=[{"name": "registry"}])

    assert recorded_in(own.inject(PRIVATE)) == ["mirror.example"]
    assert recorded_in(build_case(imagePullSecrets=ALL).inject(PRIVATE)) is None


@pytest.mark.parametrize("later", [(), ("mirror.example",), ("other",)], ids=["unset", "fewer", "another"])
@pytest.mark.parametrize("own", [[], [{"name": "own"}], [ALL[0]]], ids=["none", "another", "one-of-ours"])
def test_secret_that_the_setting_no_longer_names_stays_recorded(own: list[Pod], later: tuple[str, ...]) -> None:
    case = build_case(imagePullSecrets=own)
    once = case.inject(PRIVATE)

    again = case.with_pod(once).inject(PRIVATE._replace(image_pull_secrets=later))

    assert secrets_of(again)[: len(secrets_of(once))] == secrets_of(once)
    assert {*recorded_in(once)} <= {*recorded_in(again)}
    assert (secrets_of(uninject(again)) or []) == own


@pytest.mark.parametrize(
    "forged",
    [["gone"], "own", None, 1, [{"name": "own"}], {"own": "own"}, [[]]],
    ids=["absent-name", "string", "null", "number", "objects", "object", "list"],
)
def test_forged_record_changes_nothing_but_the_record(forged: Any) -> None:
    case = build_case(imagePullSecrets=[{"name": "own"}])
    pod = copy.deepcopy(case.pod)
    pod["metadata"]["annotations"][STATUS] = json.dumps({"added": {"imagePullSecrets": forged, "containers": {}}})

    injected = Case(pod, case.namespace, case.service_account).inject(PRIVATE)

    assert injected["spec"] == case.inject(PRIVATE)["spec"]
    assert recorded_in(injected) == ["registry", "mirror.example"]
    assert secrets_of(uninject(injected)) == [{"name": "own"}]


def test_record_that_names_a_secret_of_the_author_changes_nothing_but_the_record() -> None:
    case = build_case(imagePullSecrets=[{"name": "own"}])
    pod = copy.deepcopy(case.pod)
    pod["metadata"]["annotations"][STATUS] = json.dumps({"added": {"imagePullSecrets": ["own", "own"]}})

    injected = case.with_pod(pod).inject(PRIVATE)

    assert injected["spec"] == case.inject(PRIVATE)["spec"]
    assert recorded_in(injected) == ["own", "registry", "mirror.example"]


@pytest.mark.parametrize("name", [[], {}, 1, None], ids=["list", "object", "number", "null"])
def test_secret_with_a_name_that_is_no_string_is_left_alone(name: Any) -> None:
    assert secrets_of(build_case(imagePullSecrets=[{"name": name}]).inject(PRIVATE)) == [{"name": name}, *ALL]
