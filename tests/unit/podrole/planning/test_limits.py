"""What podrole's containers cost, and the limits of a namespace and of nodes that are in their way."""

from collections.abc import Iterator
from typing import Any

import pytest

from podrole.planning.resources import format_amount
from tests.unit.podrole.planning.objects import (
    account,
    list_codes,
    make_plan,
    make_row,
    namespace,
    node,
    pod,
    template,
    workload,
)

ESTATE = (namespace(), account())
BIG = {"requests": {"cpu": "500m", "memory": "512Mi"}}
GUARANTEED = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1000m", "memory": "1Gi"}}


def with_resources(resources: dict[str, Any], role: str | None = "reader", **spec: Any) -> dict[str, Any]:
    return template(role, container={"resources": resources}, **spec)


def limit_range(kind: str = "Container", **limits: Any) -> dict[str, Any]:
    metadata = {"name": "limits", "namespace": "shop"}
    return {"kind": "LimitRange", "metadata": metadata, "spec": {"limits": [{"type": kind, **limits}]}}


def quota(hard: dict[str, str], used: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    status = {"status": {"used": used}} if used else {}
    metadata = {"name": "team", "namespace": "shop"}
    return {"kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": hard, **spec}, **status}


@pytest.mark.parametrize(
    ("content", "cpu", "memory"),
    [
        pytest.param(with_resources(BIG), "20m", "48Mi", id="sidecar beside the app"),
        pytest.param(with_resources(BIG, role=None), "0m", "0", id="block mode: before the app"),
        pytest.param(template(None), "20m", "32Mi", id="block mode without requests"),
        pytest.param(with_resources(GUARANTEED), "250m", "96Mi", id="Guaranteed"),
        pytest.param(
            {
                **with_resources(GUARANTEED),
                "metadata": {
                    "annotations": {
                        "iam.amazonaws.com/role": "reader",
                        "podrole.io/sidecar-resources": "requests.cpu=50m",
                    }
                },
            },
            "50m",
            "96Mi",
            id="Guaranteed with an annotation",
        ),
        pytest.param(
            template(initContainers=[{"name": "a", "resources": {"requests": {"cpu": "1"}}}]),
            "20m",
            "48Mi",
            id="large init container",
        ),
        pytest.param(
            template(resources={"requests": {"cpu": "1", "memory": "1Gi"}}), "0m", "0", id="resources of the pod"
        ),
    ],
)
def test_cost_is_what_the_scheduler_adds(content: dict[str, Any], cpu: str, memory: str) -> None:
    added = make_row(*ESTATE, workload(pod=content)).cost.added

    assert (format_amount("cpu", added["requests.cpu"]), format_amount("memory", added["requests.memory"])) == (
        cpu,
        memory,
    )


def test_limit_without_a_request_counts_as_one() -> None:
    row = make_row(*ESTATE, workload(pod=with_resources({"limits": {"cpu": "2"}})))

    assert row.cost.before["requests.cpu"] == 2


def test_guaranteed_pod_has_a_finding_with_its_cpu() -> None:
    row = make_row(*ESTATE, workload(pod=with_resources(GUARANTEED)))

    (finding,) = row.findings
    assert (finding.code, "250m" in finding.text) == ("Guaranteed", True)


def test_sum_counts_only_pods_that_are_not_injected() -> None:
    injected = template(initContainers=[{"name": "podrole-redirect", "image": "old"}])
    pods = [
        pod(f"web-{number}", one, ("apps/v1", "StatefulSet", "web"))
        for number, one in enumerate([injected, template(), template()])
    ]

    plan = make_plan(*ESTATE, workload("StatefulSet", replicas=3), *pods)

    assert format_amount("cpu", plan.added["requests.cpu"]) == "40m"


@pytest.mark.parametrize(
    ("limits", "codes"),
    [
        pytest.param(limit_range(max={"memory": "128Mi"}), [], id="room for the sidecar"),
        pytest.param(limit_range(max={"memory": "64Mi"}), ["RejectedByLimitRange"], id="maximum below its limit"),
        pytest.param(limit_range(min={"cpu": "50m"}), ["RejectedByLimitRange"] * 2, id="minimum above its request"),
        pytest.param(
            limit_range(maxLimitRequestRatio={"memory": "1.5"}), ["RejectedByLimitRange"], id="ratio below its own"
        ),
        pytest.param(limit_range("Pod", max={"memory": "64Mi"}), ["RejectedByLimitRange"], id="maximum of the pod"),
        pytest.param(
            limit_range(default={"cpu": "100m"}, defaultRequest={"cpu": "10m"}), ["ChangedByLimitRange"], id="default"
        ),
        pytest.param(
            limit_range(default={"cpu": "10m"}),
            ["ChangedByLimitRange", "RejectedByLimitRange", "RejectedByLimitRange"],
            id="default limit below its request",
        ),
        pytest.param(limit_range(max={"ephemeral-storage": "1Gi"}), [], id="another resource"),
        pytest.param(limit_range("PersistentVolumeClaim", max={"storage": "1Gi"}), [], id="another type"),
    ],
)
def test_limit_range_that_rejects_or_changes_pods_has_a_finding(limits: dict[str, Any], codes: list[str]) -> None:
    row = make_row(*ESTATE, limits, workload())

    assert [finding.code for finding in row.findings] == codes


def test_remedy_for_a_minimum_of_the_limit_range_mends_both_containers() -> None:
    limits = limit_range(min={"cpu": "50m", "memory": "64Mi"})
    annotations = {"podrole.io/sidecar-resources": "requests.cpu=50m,requests.memory=64Mi"}

    before = make_row(*ESTATE, limits, workload())
    after = make_row(namespace(annotations=annotations), account(), limits, workload())

    assert {one.code for one in before.findings} == {"RejectedByLimitRange"}
    assert all("podrole.io/sidecar-resources" in one.remedy for one in before.findings)
    assert [*after.findings] == []


def test_remedy_for_a_required_limit_of_the_redirect_container_is_not_that_for_the_sidecar_alone() -> None:
    """The annotation podrole.io/sidecar-resources gives podrole-redirect no CPU limit."""
    row = make_row(*ESTATE, quota({"limits.cpu": "9"}), workload())

    (remedy,) = {one.remedy for one in row.findings if "podrole-redirect" in one.text}
    assert "LimitRange" in remedy
    assert "or for podrole-sidecar: set podrole.io/sidecar-resources" in remedy


@pytest.mark.parametrize(
    ("objects", "codes"),
    [
        pytest.param([quota({"requests.memory": "1Gi"}, {"requests.memory": "512Mi"})], [], id="room"),
        pytest.param(
            [quota({"requests.memory": "600Mi"}, {"requests.memory": "512Mi"})], ["QuotaTooSmall"], id="no room"
        ),
        pytest.param([quota({"memory": "600Mi"}, {"memory": "512Mi"})], ["QuotaTooSmall"], id="old name"),
        pytest.param([quota({"requests.memory": "40Mi"})], ["QuotaTooSmall"], id="use is unknown"),
        pytest.param(
            [quota({"requests.memory": "630Mi"}, {"requests.memory": "512Mi"})],
            ["QuotaTooSmallForRollout"],
            id="no room for the surge",
        ),
        pytest.param([quota({"limits.cpu": "9"}, {"limits.cpu": "1"})], ["RejectedByQuota"], id="no CPU limit"),
        pytest.param(
            [quota({"limits.cpu": "9"}, {"limits.cpu": "1"}), limit_range(default={"cpu": "100m"})],
            ["ChangedByLimitRange"],
            id="CPU limit by a LimitRange",
        ),
        pytest.param(
            [quota({"requests.memory": "1"}, {"requests.memory": "1"}, scopes=["BestEffort"])], [], id="BestEffort only"
        ),
        pytest.param([quota({"pods": "1"}, {"pods": "1"})], [], id="number of pods"),
    ],
)
def test_quota_without_room_for_podrole_has_a_finding(objects: list[dict[str, Any]], codes: list[str]) -> None:
    plan = make_plan(*ESTATE, *objects, workload(replicas=2))

    assert list_codes(plan) == codes


def select(scope: str, operator: str = "Exists", *values: str) -> dict[str, Any]:
    """A quota without room that counts pods of a scope."""
    wanted = {"scopeName": scope, "operator": operator, **({"values": [*values]} if values else {})}
    full = {"requests.memory": "1Mi"}
    return quota(full, full, scopeSelector={"matchExpressions": [wanted]})


def affinity(kind: str, when: str, **term: Any) -> dict[str, Any]:
    term = {"topologyKey": "zone", **term}
    given = term if when.startswith("required") else {"weight": 1, "podAffinityTerm": term}
    return {"affinity": {kind: {f"{when}DuringSchedulingIgnoredDuringExecution": [given]}}}


HIGH: dict[str, Any] = {"priorityClassName": "high"}
CROSSING = "CrossNamespacePodAffinity"
FULL = {"requests.memory": "1Mi"}


@pytest.mark.parametrize(
    ("given", "spec", "is_counted"),
    [
        pytest.param(quota(FULL, FULL, scopes=["Terminating"]), {"activeDeadlineSeconds": 60}, True, id="deadline"),
        pytest.param(quota(FULL, FULL, scopes=["Terminating"]), {}, False, id="no deadline"),
        pytest.param(quota(FULL, FULL, scopes=["NotTerminating"]), {}, True, id="not terminating"),
        pytest.param(
            quota(FULL, FULL, scopes=["NotTerminating"]), {"activeDeadlineSeconds": 0}, False, id="deadline of zero"
        ),
        pytest.param(quota(FULL, FULL, scopes=["NotBestEffort", "Terminating"]), {}, False, id="one of two scopes"),
        pytest.param(quota(FULL, FULL, scopes=["NotBestEffort", "NotTerminating"]), {}, True, id="both scopes"),
        pytest.param(select("NotBestEffort"), {}, True, id="NotBestEffort in a selector"),
        pytest.param(select("BestEffort"), {}, False, id="BestEffort in a selector"),
        pytest.param(quota(FULL, FULL, scopes=["PriorityClass"]), HIGH, True, id="any class"),
        pytest.param(quota(FULL, FULL, scopes=["PriorityClass"]), {}, False, id="no class"),
        pytest.param(select("PriorityClass", "In", "low", "high"), HIGH, True, id="class in"),
        pytest.param(select("PriorityClass", "In", "low"), HIGH, False, id="other class"),
        pytest.param(select("PriorityClass", "NotIn", "low"), HIGH, True, id="class not in"),
        pytest.param(select("PriorityClass", "NotIn", "high"), HIGH, False, id="class excluded"),
        pytest.param(select("PriorityClass", "NotIn", "high"), {}, True, id="no class is not in"),
        pytest.param(select("PriorityClass", "DoesNotExist"), {}, True, id="class does not exist"),
        pytest.param(select("PriorityClass", "DoesNotExist"), HIGH, False, id="class exists"),
        pytest.param(select(CROSSING), affinity("podAffinity", "required", namespaces=["b"]), True, id="affinity"),
        pytest.param(
            select(CROSSING), affinity("podAntiAffinity", "preferred", namespaceSelector={}), True, id="anti-affinity"
        ),
        pytest.param(select(CROSSING), affinity("podAffinity", "required"), False, id="affinity in its namespace"),
        pytest.param(select(CROSSING), {}, False, id="no affinity"),
        pytest.param(select("VolumeAttributesClass"), {}, False, id="scope of other objects"),
    ],
)
def test_quota_counts_the_pods_of_its_scopes(given: dict[str, Any], spec: dict[str, Any], *, is_counted: bool) -> None:
    """podMatchesScopeFunc in https://github.com/kubernetes/kubernetes/blob/v1.34.4/pkg/quota/v1/evaluator/core/pods.go."""
    required = {**given, "metadata": {"name": "required", "namespace": "shop"}, "spec": {**given["spec"]}}
    required["spec"]["hard"] = {"limits.cpu": "99"}
    plan = make_plan(*ESTATE, given, required, workload(pod=template(**spec)))

    assert {*list_codes(plan)} == ({"RejectedByQuota", "QuotaTooSmall"} if is_counted else set())


def priority_class(name: str, value: int = 1, *, is_default: bool = True) -> dict[str, Any]:
    metadata = {"name": name}
    return {"kind": "PriorityClass", "metadata": metadata, "value": value, "globalDefault": is_default}


@pytest.mark.parametrize("is_cluster", [True, False], ids=["cluster", "manifests"])
@pytest.mark.parametrize(
    ("classes", "spec", "is_counted"),
    [
        pytest.param([priority_class("high")], {}, True, id="default"),
        pytest.param([priority_class("high")], {"priorityClassName": "low"}, False, id="own class"),
        pytest.param([priority_class("high", is_default=False)], {}, False, id="no default"),
        pytest.param([priority_class("low")], {}, False, id="other default"),
        pytest.param([priority_class("low", 2), priority_class("high", 1)], {}, True, id="lowest of two defaults"),
        pytest.param([priority_class("low", -5), priority_class("high", 1)], {}, False, id="other is the lowest"),
    ],
)
def test_pods_without_a_class_have_the_default_one(
    classes: list[dict[str, Any]], spec: dict[str, Any], *, is_counted: bool, is_cluster: bool
) -> None:
    """getDefaultPriority in https://github.com/kubernetes/kubernetes/blob/v1.34.4/plugin/pkg/admission/priority/admission.go."""
    given = select("PriorityClass", "In", "high")

    plan = make_plan(*ESTATE, given, *classes, workload(pod=template(**spec)), is_cluster=is_cluster)

    assert ("QuotaTooSmall" in list_codes(plan)) is is_counted


def test_quota_with_a_scope_has_room_for_pods_that_it_does_not_count() -> None:
    """Only the DaemonSet has the class, and its pods fit."""
    of_class = quota({"requests.memory": "50Mi"}, {"requests.memory": "1"}, scopes=["PriorityClass"])

    plan = make_plan(*ESTATE, of_class, workload(replicas=9), workload("DaemonSet", template(**HIGH), "agent"))

    assert list_codes(plan) == []


def run_on(node_name: str, kind: str = "StatefulSet", number: int = 1) -> Iterator[dict[str, Any]]:
    yield workload(kind, with_resources(BIG), name=f"{kind.lower()}", replicas=number)
    for index in range(number):
        yield pod(f"{kind}-{index}", with_resources(BIG), ("apps/v1", kind, kind.lower()), node_name)


@pytest.mark.parametrize(
    ("objects", "codes"),
    [
        pytest.param([node("a"), *run_on("a")], ["NodesHaveRoom"], id="room"),
        pytest.param([node("a", "510m"), *run_on("a")], ["NodesFull", "NodesWithoutRoom"], id="full"),
        pytest.param(
            [node("a", "510m"), node("b"), *run_on("a")],
            ["NodesHaveRoom", "NodesWithoutRoom"],
            id="room elsewhere",
        ),
        pytest.param(
            [node("a", "510m"), node("b"), *run_on("a", "DaemonSet")],
            ["NodesHaveRoom", "NodesWithoutRoom", "DaemonSetsWithoutRoom"],
            id="DaemonSet on a full node",
        ),
        pytest.param(
            [node("a", "510m"), node("b", unschedulable=True), *run_on("a")],
            ["NodesFull", "NodesWithoutRoom"],
            id="cordoned node",
        ),
        pytest.param(
            [node("a", "530m"), *run_on("a", "Deployment")],
            ["NodesHaveRoom", "NodesFullForRollout"],
            id="no surge",
        ),
        pytest.param([node("a", "1200m", "2Gi"), *run_on("a", "Deployment")], ["NodesHaveRoom"], id="surge"),
        pytest.param([*run_on("a")], [], id="nodes unknown"),
    ],
)
def test_nodes_without_room_for_podrole_have_a_finding(objects: list[dict[str, Any]], codes: list[str]) -> None:
    assert list_codes(make_plan(*ESTATE, *objects)) == codes


def test_workload_with_several_pod_templates_counts_its_pods_once() -> None:
    groups = {
        "workerGroupSpecs": [{"template": with_resources(BIG)}],
        "headGroupSpec": {"template": with_resources(BIG)},
    }
    metadata = {"name": "ray", "namespace": "shop"}
    ray = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": metadata, "spec": groups}
    pods = [pod(f"ray-{index}", with_resources(BIG), ("ray.io/v1", "RayCluster", "ray"), "a") for index in range(3)]

    plan = make_plan(*ESTATE, node("a", "1510m", "4Gi"), ray, *pods)

    assert [(row.name, row.pods) for row in plan.rows] == [
        ("RayCluster/ray spec.headGroupSpec.template", 3),
        ("RayCluster/ray spec.workerGroupSpecs.0.template", 0),
    ]
    assert list_codes(plan) == ["NodesFull", "NodesWithoutRoom"]
