"""Ten thousand pods made from the API's own schema: each injected, injected again, and taken back."""

import copy
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from jsonpatch import JsonPatch

from injector.config import Config
from injector.decision.outcomes import Block, Inject
from injector.errors import ObjectError
from injector.k8s.objects import is_reserved
from injector.patch.app_env import NO_PROXIES, NO_PROXY_VALUE
from injector.patch.json_patch import build_patch
from injector.patch.plan import plan_injection
from injector.patch.template import load_template
from injector.patch.uninject import build_uninject_patch
from tests.unit.injector.cases import CONFIG, Case, Pod, add_api_defaults, all_containers
from tests.unit.injector.generated_pods import BROKEN_CASES, CASES, OUR_VALUES, normalize

PODS = 10_000
CONFIGS = {
    "redirect": CONFIG,
    "redirect-iptables": replace(CONFIG, redirect_backend="iptables", aws_endpoint_url=OUR_VALUES["AWS_ENDPOINT_URL"]),
    "env": replace(CONFIG, mode="env"),
    "ipv6-only": replace(CONFIG, ipv6_only=True),
}
RUN = settings(max_examples=PODS // len(CONFIGS), deadline=None)

load = cache(load_template)


def build(case: Case, config: Config) -> JsonPatch | None:
    """The patch; None for a pod that is left alone or denied."""
    decision = case.decide(config)
    if not isinstance(decision, Inject | Block):
        return None
    return build_patch(case.pod, plan_injection(decision, case.pod, load(config), config))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_generated_pod_loses_nothing_and_needs_no_second_patch_and_can_be_had_back(name: str) -> None:
    config = CONFIGS[name]
    seen = Counter[str]()

    @RUN
    @given(case=CASES)
    def inject_twice_and_take_back(case: Case) -> None:
        patch = build(case, config)
        seen["patched" if patch else "untouched"] += 1
        if not patch:
            return

        patched = patch.apply(case.pod)

        assert_ours_come_first(patched, config)
        assert_all_is_kept(case.pod, patched)
        for again in (patched, add_api_defaults(without_nulls(patched))):
            second = build(case.with_pod(again), config)
            assert second is not None
            assert second.patch == []
        if has_reserved_names(case.pod):
            assert_forgeries_count_for_nothing(case, patched, config)
            seen["forged"] += 1
        else:
            assert_can_be_had_back(case, patched)
            seen["restored"] += 1

    inject_twice_and_take_back()

    assert seen["patched"] > 0.6 * RUN.max_examples
    assert seen["restored"] > 0.4 * RUN.max_examples
    assert seen["forged"] > 0.02 * RUN.max_examples


@settings(max_examples=1000, deadline=None)
@given(case=BROKEN_CASES)
def test_a_value_of_another_type_is_refused_in_a_sentence_or_kept(case: Case) -> None:
    try:
        patch = build(case, CONFIG)
    except ObjectError as error:
        assert "must be" in str(error) or "is of type" in str(error)  # noqa: PT017 - not every one raises
        return

    if patch:
        patched = patch.apply(case.pod)
        restored = build_uninject_patch(patched).apply(patched)
        assert to_json(without_ours(restored)) == to_json(without_ours(case.pod))


def assert_ours_come_first(patched: Pod, config: Config) -> None:
    names = [container.get("name") for container in patched["spec"]["initContainers"]]
    mode = json.loads(patched["metadata"]["annotations"]["podrole.io/status"])["mode"]
    expected = {
        "redirect": ["podrole-redirect", "podrole-sidecar"],
        "env": ["podrole-sidecar"],
        "block": ["podrole-redirect"],
    }[mode]
    assert names[: len(expected)] == expected
    reserved = [container["name"] for container in all_containers(patched) if is_reserved(container)]
    assert reserved == expected
    assert config.mode in {"auto", mode}


def assert_all_is_kept(pod: Pod, patched: Pod) -> None:
    """Byte for byte, at every level."""
    assert to_json(without_ours(patched)) == to_json(without_ours(pod))
    for before, after in zip(environments(pod), environments(patched), strict=True):
        for old, new in zip(before, after, strict=False):
            hosts = f"{old.get('value') or ''},{NO_PROXY_VALUE}"
            assert new == old or (old["name"] in NO_PROXIES and new == {**old, "value": hosts})
        added = {variable["name"]: variable["value"] for variable in after[len(before) :]}
        assert len(after) == len(before) + len(added)
        assert not added.keys() & {variable.get("name") for variable in before}
        assert added.keys() <= {*OUR_VALUES, *NO_PROXIES}
        assert all(OUR_VALUES.get(key, value) == value for key, value in added.items())


def assert_forgeries_count_for_nothing(case: Case, patched: Pod, config: Config) -> None:
    clean = case.with_pod(without_reserved_names(case.pod))
    patch = build(clean, config)
    assert patch is not None
    assert normalize(without_record(patch.apply(clean.pod))) == normalize(without_record(patched))


def assert_can_be_had_back(case: Case, patched: Pod) -> None:
    restored = build_uninject_patch(patched).apply(patched)

    assert normalize(restored) == normalize(case.pod)


def without_record(pod: Pod) -> Pod:
    pod = copy.deepcopy(pod)
    annotations = pod["metadata"]["annotations"]
    annotations["podrole.io/status"] = json.loads(annotations["podrole.io/status"]) | {"added": None}
    return pod


def without_ours(pod: Pod) -> Pod:
    """The pod without what bears our names, and without variables, which bear none."""
    pod = without_reserved_names(pod)
    for container in all_containers(pod):
        container.pop("env", None)
    return pod


def without_reserved_names(pod: Pod) -> Pod:
    pod = copy.deepcopy(pod)
    metadata = pod["metadata"] = pod.get("metadata") or {}
    annotations = metadata["annotations"] = metadata.get("annotations") or {}
    annotations.pop("podrole.io/status", None)
    for field in ("initContainers", "containers", "volumes"):
        pod["spec"][field] = [thing for thing in pod["spec"].get(field) or [] if not is_reserved(thing)]
    for container in all_containers(pod):
        container["volumeMounts"] = [m for m in container.get("volumeMounts") or [] if not is_reserved(m)]
    return pod


def environments(pod: Pod) -> Iterator[list[Pod]]:
    for container in all_containers(pod):
        if not is_reserved(container):
            yield container.get("env") or []


def has_reserved_names(pod: Pod) -> bool:
    return '"podrole-' in to_json(pod) or "podrole.io/status" in to_json(pod)


def without_nulls(value: Any) -> Any:
    """As the API server stores it."""
    if isinstance(value, dict):
        return {key: without_nulls(element) for key, element in value.items() if element is not None}
    return [without_nulls(element) for element in value] if isinstance(value, list) else value


def to_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
