"""LimitRanges and ResourceQuotas that would refuse every injected pod, held against the rules of Kubernetes."""

from decimal import Decimal
from typing import Any

import pytest

from podrole.diagnosis.cluster import diagnose_cluster
from podrole.diagnosis.quantities import parse_quantity
from podrole.findings import Finding
from tests.unit.podrole.diagnosis.snapshots import NOW, build_snapshot, find_texts, list_concerns, list_findings


def build_limit_range(namespace: str = "team-a", **item: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": "lr"}, "spec": {"limits": [{"type": "Container", **item}]}}


def build_quota(namespace: str = "team-a", scopes: list[str] | None = None, **hard: str) -> dict[str, Any]:
    wanted = {key.replace("_", "."): value for key, value in hard.items()}
    return {"metadata": {"namespace": namespace, "name": "q"}, "spec": {"hard": wanted, "scopes": scopes}}


def diagnose(*limit_ranges: dict[str, Any], quotas: tuple[dict[str, Any], ...] = ()) -> list[Finding]:
    snapshot = build_snapshot(limit_ranges=limit_ranges, resource_quotas=quotas)
    return list_findings(diagnose_cluster(snapshot, {}, NOW))


@pytest.mark.parametrize(
    ("item", "clause"),
    [
        (
            {"max": {"memory": "64Mi"}},
            "podrole-sidecar: its limit of memory is 96Mi, and at most 64Mi is allowed",
        ),
        ({"max": {"cpu": "1"}}, "podrole-redirect: its limit of cpu is not set, and at most 1 is allowed"),
        (
            {"min": {"cpu": "50m"}},
            "podrole-redirect: its request of cpu is 20m, and at least 50m is demanded",
        ),
        (
            {"min": {"memory": "40Mi"}},
            "podrole-redirect: its request of memory is 32Mi, and at least 40Mi is demanded",
        ),
        (
            {"maxLimitRequestRatio": {"memory": "1.5"}},
            "podrole-sidecar: its limit of memory (96Mi) is more than 1.5 times its request (48Mi)",
        ),
        (
            {"default": {"cpu": "500m"}, "maxLimitRequestRatio": {"cpu": "10"}},
            "podrole-redirect: its limit of cpu (500m) is more than 10 times its request (20m)",
        ),
        ({"default": {"cpu": "10m"}}, "podrole-redirect: its request of cpu is above the default limit, 10m"),
    ],
)
def test_limit_range_that_refuses_our_containers_is_a_problem(item: dict[str, Any], clause: str) -> None:
    texts = find_texts(diagnose(build_limit_range(**item)), "LimitRange")

    assert texts[0] == f"LimitRange team-a/lr refuses {clause}."


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"default": {"cpu": "1", "memory": "512Mi"}, "defaultRequest": {"cpu": "100m"}},
        {"max": {"cpu": "2", "memory": "4Gi"}, "default": {"cpu": "2", "memory": "4Gi"}},
        {"min": {"cpu": "10m", "memory": "4Mi"}},
        {"max": {"memory": "what"}},
        {"type": "Pod", "max": {"memory": "1Mi"}},
    ],
)
def test_limit_range_that_leaves_room_is_no_concern(item: dict[str, Any]) -> None:
    findings = diagnose(build_limit_range(**item), build_limit_range("elsewhere", max={"memory": "1Mi"}))

    assert list_concerns(findings) == []
    assert find_texts(findings, "Room")


def test_quota_on_a_limit_that_we_do_not_set_is_a_problem_with_its_remedy() -> None:
    findings = diagnose(quotas=(build_quota(limits_cpu="4", limits_memory="8Gi", requests_cpu="2", pods="10"),))

    (told,) = [finding for finding in findings if finding.code == "Quota"]
    assert told.text == (
        "ResourceQuota team-a/q limits limits.cpu, which podrole-redirect and podrole-sidecar do not set, and no "
        "LimitRange gives a default: every injected pod is refused."
    )
    assert told.remedy == "Add a LimitRange with a default for cpu to namespace team-a."


def test_default_of_a_limit_range_makes_room_in_a_quota() -> None:
    findings = diagnose(build_limit_range(default={"cpu": "1"}), quotas=(build_quota(limits_cpu="4"),))

    assert list_concerns(findings) == []


def test_quota_that_never_counts_our_pods_is_no_concern() -> None:
    quotas = (build_quota("elsewhere", limits_cpu="4"), build_quota(scopes=["BestEffort"], limits_cpu="4"))

    assert list_concerns(diagnose(quotas=quotas)) == []


@pytest.mark.parametrize("text", ["", "1.2.3", "Mi", "1 Gi", "1GiB", None, "--1"])
def test_what_is_no_quantity_is_none(text: object) -> None:
    assert parse_quantity(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500m", "0.5"),
        ("1", "1"),
        (2, "2"),
        ("0.5", "0.5"),
        ("1Ki", "1024"),
        ("96Mi", str(96 * 1024**2)),
        ("1G", "1000000000"),
        ("1e3", "1000"),
        ("12E", "12000000000000000000"),
        ("5n", "0.000000005"),
    ],
)
def test_quantity_is_read_as_kubernetes_does(text: object, value: str) -> None:
    assert parse_quantity(text) == Decimal(value)
