"""A plan of ten thousand pods takes seconds, and memory for its workloads, not for its pods."""

import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from podrole.plan_report.html import format_html
from podrole.plan_report.text import format_text
from podrole.planning.estate import PlanEstate
from podrole.planning.plan import build_plan
from tests.unit.podrole.planning.objects import SETTINGS, account, namespace, node, own, template, workload

PODS = 10_000
DEPLOYMENTS = 500
CPU_SECONDS = 60
"""Ten times what it took on the machine of the tests."""

MAX_MIB = 40


def build_content() -> dict[str, Any]:
    """A pod as large as many are: 40 variables, 6 volumes."""
    variables = [{"name": f"NAME_{number}", "value": f"value {number}"} for number in range(40)]
    mounts = [{"name": f"volume-{number}", "mountPath": f"/mnt/{number}"} for number in range(6)]
    volumes = [{"name": f"volume-{number}", "configMap": {"name": f"map-{number}"}} for number in range(6)]
    container = {"env": variables, "volumeMounts": mounts, "resources": {"requests": {"cpu": "100m"}}}
    return template(container=container, volumes=volumes)


def build_pods(*, are_owned: bool) -> Iterator[dict[str, Any]]:
    for number in range(PODS):
        content = build_content()
        metadata = {**content["metadata"], "name": f"web-{number}", "namespace": "shop"}
        if are_owned:
            metadata["ownerReferences"] = [own("apps/v1", "Deployment", f"web-{number % DEPLOYMENTS}")]
        spec = {**content["spec"], "nodeName": f"node-{number % 100}"}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def build_estate(*, are_owned: bool) -> PlanEstate:
    estate = PlanEstate(is_complete=True)
    for thing in (namespace(), account(), *(node(f"node-{number}", "64", "64Gi") for number in range(100))):
        estate.add(thing)
    if are_owned:
        for number in range(DEPLOYMENTS):
            estate.add(workload(pod=build_content(), name=f"web-{number}", replicas=PODS // DEPLOYMENTS))
    for pod in build_pods(are_owned=are_owned):
        estate.add(pod)
    return estate


@pytest.mark.parametrize("are_owned", [True, False], ids=["of 500 Deployments", "without an owner"])
def test_ten_thousand_pods_are_planned_in_seconds(*, are_owned: bool) -> None:
    start = time.process_time()

    plan = build_plan(build_estate(are_owned=are_owned), SETTINGS)
    text, markup = format_text(plan), format_html(plan)

    assert time.process_time() - start < CPU_SECONDS
    assert sum(one.pods for one in plan.namespaces) == PODS
    assert len(plan.rows) == (DEPLOYMENTS if are_owned else PODS)
    assert text
    assert markup


def test_estate_keeps_little_of_each_pod_with_an_owner() -> None:
    tracemalloc.start()
    try:
        estate = build_estate(are_owned=True)
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert len(estate.pods) == PODS
    assert size < MAX_MIB << 20
