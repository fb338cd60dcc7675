import json
from typing import Any

import pytest

from injector.config import Config
from injector.decision.outcomes import Deny
from injector.errors import ConfigError
from injector.k8s.objects import Metadata
from testing.cases import CONFIG, ENABLED, ENVIRON, UNANNOTATED, Case, build_case, find_container, load_case

KEY = "podrole.io/sidecar-resources"
DEFAULTS = {"requests": {"cpu": "20m", "memory": "48Mi"}, "limits": {"memory": "96Mi"}}
GUARANTEED = {"limits": {"cpu": "96", "memory": "300Gi"}}


def build(pod: str | None = None, namespace: str | None = None, **spec: Any) -> Case:
    case = build_case(**spec)
    if pod is not None:
        case.pod["metadata"]["annotations"][KEY] = pod
    annotations = {} if namespace is None else {KEY: namespace}
    return Case(case.pod, Metadata(ENABLED.labels, annotations), UNANNOTATED)


def resources_of(case: Case, container: str = "podrole-sidecar") -> Any:
    return find_container(case.inject(), container)["resources"]


def explain(case: Case, config: Config = CONFIG) -> list[str]:
    decision = case.decide(config)
    return [one.text for one in decision.explanations] if isinstance(decision, Deny) else []


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("cpu=10m", '"cpu" is none of requests.cpu'),
        ("requests.cpu", 'requests.cpu is "", which is no quantity'),
        ("requests.cpu=", 'requests.cpu is "", which is no quantity'),
        ("requests.cpu=10 m", 'requests.cpu is "10 m", which is no quantity'),
        ("requests.cpu=10m, limits.cpu=1", '" limits.cpu" is none of'),
        ("requests.cpu=10m,", '"" is none of'),
        ("requests.cpu=1m,requests.cpu=2m", "it has requests.cpu twice"),
        (",".join(["limits.cpu=1"] * 300), "it has limits.cpu twice"),
        ("requests.cpu=-1", 'requests.cpu is "-1", which is no quantity'),
        ("requests.cpu=0", "requests.cpu is 0, and the operator allows 1m to 1"),
        ("limits.cpu=1001m", "limits.cpu is 1001m, and the operator allows 1m to 1"),
        ("limits.memory=31Mi", "limits.memory is 31Mi, and the operator allows 32Mi to 256Mi"),
        ("requests.memory=1Gi", "requests.memory is 1Gi, and the operator allows 32Mi to 256Mi"),
        ("requests.cpu=1,limits.cpu=999m", "requests.cpu is 1, which is more than limits.cpu, 999m"),
    ],
    ids=lambda text: text[:40],
)
@pytest.mark.parametrize("kind", ["pod", "namespace"])
def test_invalid_value_denies_the_pod_with_its_problem(kind: str, value: str, problem: str) -> None:
    [explanation] = explain(build(**{kind: value}))

    assert problem in explanation
    assert f"annotation {KEY} of the " in explanation
    assert kind in explanation


def test_request_of_the_pod_above_the_limit_of_the_namespace_denies_the_pod() -> None:
    [explanation] = explain(build("requests.memory=128Mi", "limits.memory=64Mi"))

    assert "of the pod and of its namespace together" in explanation
    assert "requests.memory is 128Mi, which is more than limits.memory, 64Mi" in explanation


def test_operator_can_widen_the_range() -> None:
    config = Config.from_environ(ENVIRON | {"PODROLE_SIDECAR_RESOURCES_RANGE": "cpu=1..2,memory=1Gi..2Gi"})

    [explanation] = explain(build("requests.cpu=1500m,requests.memory=1G"), config)
    assert "requests.memory is 1G, and the operator allows 1Gi to 2Gi" in explanation
    assert explain(build("requests.cpu=1500m,requests.memory=1Gi"), config) == []


@pytest.mark.parametrize(
    "value",
    ["cpu=1", "cpu=1..2", "memory=1Gi..2Gi,cpu=1..2", "cpu=1..x,memory=1..2", "cpu=1..2, memory=1..2", "none"],
)
def test_range_that_is_not_complete_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="the least and most of CPU and memory"):
        Config.from_environ(ENVIRON | {"PODROLE_SIDECAR_RESOURCES_RANGE": value})


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("cpu=2..1,memory=32Mi..256Mi", id="inverted-cpu"),
        pytest.param("cpu=1..999m,memory=32Mi..256Mi", id="inverted-cpu-of-other-units"),
        pytest.param("cpu=1m..1,memory=256Mi..32Mi", id="inverted-memory"),
        pytest.param("cpu=1m..1,memory=1Gi..1G", id="inverted-memory-of-other-units"),
        pytest.param("cpu=0..0,memory=32Mi..256Mi", id="no-cpu"),
        pytest.param("cpu=1m..1,memory=0..0", id="no-memory"),
        pytest.param("cpu=1m..1,memory=32..256", id="memory-without-units"),
        pytest.param("cpu=1m..1,memory=32m..256m", id="thousandths-of-bytes"),
        pytest.param("cpu=1Mi..1Gi,memory=32Mi..256Mi", id="cpu-in-units-of-memory"),
        pytest.param("cpu=1m..1,memory=1Mi..33554431", id="too-little-memory"),
    ],
)
def test_range_that_is_inverted_or_impossible_is_refused_at_the_start(value: str) -> None:
    with pytest.raises(ConfigError, match=r"PODROLE_SIDECAR_RESOURCES_RANGE is .*: it must be the least and most of"):
        Config.from_environ(ENVIRON | {"PODROLE_SIDECAR_RESOURCES_RANGE": value})


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("cpu=0..1,memory=0..256Mi", id="nothing-at-least"),
        pytest.param("cpu=1000m..1,memory=1024Mi..1Gi", id="equal-in-other-units"),
        pytest.param("cpu=1m..1,memory=0..32Mi", id="as-little-memory-as-possible"),
    ],
)
def test_range_that_an_annotation_can_meet_is_accepted(value: str) -> None:
    assert Config.from_environ(ENVIRON | {"PODROLE_SIDECAR_RESOURCES_RANGE": value})


REDIRECT = {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "32Mi"}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("requests.cpu=10m,requests.memory=32Mi", REDIRECT, id="not-lowered"),
        pytest.param("limits.cpu=100m,limits.memory=128Mi", REDIRECT, id="limits-alone"),
        pytest.param(
            "requests.memory=64Mi",
            {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "64Mi"}},
            id="memory-with-its-limit",
        ),
        pytest.param(
            "requests.memory=64Mi,limits.memory=128Mi",
            {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
            id="memory-and-a-limit",
        ),
        pytest.param(
            "requests.cpu=50m",
            {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "32Mi"}},
            id="cpu-without-a-limit",
        ),
        pytest.param(
            "requests.cpu=50m,limits.cpu=100m",
            {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "32Mi", "cpu": "100m"}},
            id="cpu-and-a-limit",
        ),
    ],
)
@pytest.mark.parametrize("has_role", [True, False], ids=["with-a-role", "without-a-role"])
def test_requests_raise_those_of_the_redirect_container(value: str, expected: Any, *, has_role: bool) -> None:
    case = build(namespace=value)
    if not has_role:
        case.pod["metadata"]["annotations"] = {}

    assert resources_of(case, "podrole-redirect") == expected


def test_requests_keep_the_redirect_container_of_a_guaranteed_pod_guaranteed() -> None:
    resources = resources_of(
        build("requests.cpu=300m,limits.memory=128Mi", containers=[{"name": "app", "resources": GUARANTEED}]),
        "podrole-redirect",
    )

    assert resources["requests"] == resources["limits"] == {"cpu": "300m", "memory": "128Mi"}


@pytest.mark.parametrize(
    ("pod", "namespace", "expected"),
    [
        pytest.param(None, None, DEFAULTS, id="neither"),
        pytest.param("", "", DEFAULTS, id="empty"),
        pytest.param(
            "requests.cpu=10m,limits.cpu=1,requests.memory=64Mi,limits.memory=128Mi",
            None,
            {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}},
            id="all-of-the-pod",
        ),
        pytest.param(
            "requests.cpu=30m",
            "requests.cpu=10m,limits.memory=128Mi",
            {"requests": {"cpu": "30m", "memory": "48Mi"}, "limits": {"memory": "128Mi"}},
            id="pod-before-namespace",
        ),
        pytest.param(
            "requests.memory=128Mi",
            None,
            {"requests": {"cpu": "20m", "memory": "128Mi"}, "limits": {"memory": "128Mi"}},
            id="limit-follows-the-request",
        ),
        pytest.param(
            None,
            "limits.memory=40Mi",
            {"requests": {"cpu": "20m", "memory": "40Mi"}, "limits": {"memory": "40Mi"}},
            id="request-follows-the-limit",
        ),
    ],
)
def test_sidecar_gets_the_resources_of_pod_and_namespace(pod: str | None, namespace: str | None, expected: Any) -> None:
    case = build(pod, namespace)

    assert resources_of(case) == expected
    once = case.inject()
    assert case.with_pod(once).inject() == once


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("requests.cpu=10m", {"cpu": "10m", "memory": "96Mi"}, id="request"),
        pytest.param("limits.cpu=10m", {"cpu": "10m", "memory": "96Mi"}, id="limit"),
        pytest.param(
            "requests.cpu=10m,limits.cpu=20m,requests.memory=64Mi",
            {"cpu": "20m", "memory": "64Mi"},
            id="limit-before-request",
        ),
    ],
)
def test_guaranteed_pod_of_a_whole_node_stays_guaranteed_with_less(value: str, expected: dict[str, str]) -> None:
    case = build(value, containers=[{"name": "app", "resources": GUARANTEED}])

    assert resources_of(case) == {"requests": expected, "limits": expected}


def test_resources_that_do_not_fit_into_those_of_the_pod_are_left_out() -> None:
    whole = {"requests": {"cpu": "1", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "100Mi"}}

    assert resources_of(build("requests.cpu=10m,limits.memory=128Mi", resources=whole)) == {
        "requests": {"cpu": "10m", "memory": "48Mi"}
    }


def test_blocked_pod_has_no_sidecar_to_set_resources_of() -> None:
    case = load_case("no-role")
    case.pod["metadata"].setdefault("annotations", {})[KEY] = "requests.cpu=10m"

    injected = case.inject()

    assert json.loads(injected["metadata"]["annotations"]["podrole.io/status"])["mode"] == "block"
    assert resources_of(case, "podrole-redirect") == {"requests": {"cpu": "20m", "memory": "32Mi"}} | {
        "limits": {"memory": "32Mi"}
    }
