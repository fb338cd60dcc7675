"""Pods of each kind of workload are injected."""

import uuid
from typing import Any

import pytest

from testing.cases import environment_of, find_container
from testing.cluster.api import ApiServer, wait_for
from testing.cluster.pods import APP, OURS, READER, ROLE, names_of

LABELS = {"app": "work"}
TEMPLATE = {"metadata": {"labels": LABELS, "annotations": ROLE}, "spec": {"containers": [APP]}}
ONCE = {**TEMPLATE, "spec": {"containers": [APP], "restartPolicy": "Never"}}
SELECTED = {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}
LONG_AGO = "2020-01-01T00:00:00Z"


def build_workload(version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "work"}, "spec": spec}


WORKLOADS = [
    build_workload("apps/v1", "Deployment", SELECTED),
    build_workload("apps/v1", "StatefulSet", {**SELECTED, "serviceName": "work"}),
    build_workload("batch/v1", "Job", {"template": ONCE}),
    build_workload("v1", "ReplicationController", {"selector": LABELS, "template": TEMPLATE}),
]


def await_pod(api: ApiServer, namespace: str) -> dict[str, Any]:
    return wait_for(f"a pod in namespace {namespace}", lambda: api.list("Pod", namespace))[0]


def check_injected(pod: dict[str, Any]) -> None:
    assert names_of(pod, "initContainers") == OURS
    assert environment_of(find_container(pod, "podrole-sidecar"))["PODROLE_ROLE_ARN"] == READER
    uri = environment_of(find_container(pod, "app"))["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]
    assert uri == "/v2/credentials/$(PODROLE_POD_UID)"


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload["kind"])
def test_pod_of_a_workload_is_injected(api: ApiServer, namespace: str, workload: dict[str, Any]) -> None:
    api.create(workload, namespace)

    pod = await_pod(api, namespace)

    check_injected(pod)
    assert pod["metadata"]["ownerReferences"][0]["controller"]


@pytest.mark.usefixtures("node")
def test_pod_of_a_daemon_set_is_injected(api: ApiServer, namespace: str) -> None:
    api.create(build_workload("apps/v1", "DaemonSet", SELECTED), namespace)

    pod = await_pod(api, namespace)

    check_injected(pod)
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "DaemonSet"


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet", "ReplicationController"])
def test_selector_with_a_label_of_podrole_creates_one_pod(api: ApiServer, namespace: str, kind: str) -> None:
    """A controller whose selector does not match the pod that it created creates another one, without end."""
    labels = LABELS | {"podrole.io/mode": "env", "podrole.io/version": "9"}
    template = {**TEMPLATE, "metadata": {"labels": labels, "annotations": ROLE}}
    is_core = kind == "ReplicationController"
    spec = {"selector": labels if is_core else {"matchLabels": labels}, "template": template}
    api.create(build_workload("v1" if is_core else "apps/v1", kind, spec), namespace)
    count = "currentNumberScheduled" if kind == "DaemonSet" else "replicas"

    wait_for("the controller recognises its pod", lambda: api.read(kind, "work", namespace)["status"].get(count) == 1)

    [pod] = api.list("Pod", namespace)
    check_injected(pod)


def test_pod_of_a_cron_job_is_injected(api: ApiServer, namespace: str) -> None:
    spec = {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": ONCE}}}
    api.create(build_workload("batch/v1", "CronJob", spec), namespace)
    # The controller sees a missed run and starts it at once.
    api.patch(("CronJob", "work/status"), {"status": {"lastScheduleTime": LONG_AGO}}, namespace)

    pod = await_pod(api, namespace)

    check_injected(pod)
    job = api.read("Job", pod["metadata"]["ownerReferences"][0]["name"], namespace)
    assert job["metadata"]["ownerReferences"][0]["kind"] == "CronJob"


def test_pod_with_a_generated_name_is_injected(api: ApiServer, namespace: str) -> None:
    stem = f"work-{uuid.uuid4().hex[:8]}-"
    pod = {"apiVersion": "v1", "kind": "Pod", **TEMPLATE, "metadata": {"generateName": stem, "annotations": ROLE}}

    created = api.create(pod, namespace).object

    assert created["metadata"]["name"].startswith(stem)
    check_injected(created)
