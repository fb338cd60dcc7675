"""`podrole plan` against a real API server: what it says is what the API server and the webhook then do."""

import json
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from podrole.__main__ import main
from podrole.planning.resources import add_totals, format_amount, measure_as_it_is
from testing.cases import ENVIRON
from testing.cluster.api import ApiServer, RefusedError, wait_for
from testing.cluster.namespaces import ENABLED, Namespaces
from testing.cluster.pods import OURS, READER, ROLE, build_pod
from testing.cluster.rbac_users import create_user, delete_user
from testing.hostile_text import STORED, find_unprintable
from testing.repository import ROOT
from tests.unit.docs.pages import read_block, read_section
from tests.unit.podrole.workloads import build_workload

Manifest = dict[str, Any]

PLAIN = {"requests": {"cpu": "100m", "memory": "64Mi"}}
GUARANTEED = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}


@pytest.fixture
def default_priority_class(api: ApiServer) -> Iterator[str]:
    """The cluster's default class. Its value is that of pods without one."""
    name = f"podrole-{uuid.uuid4().hex[:8]}"
    metadata = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}}
    api.create({**metadata, "value": 0, "globalDefault": True})
    yield name
    api.delete("PriorityClass", name)


def run(kubeconfig: str, *arguments: str) -> Result:
    environ = {**ENVIRON, "PODROLE_DEBUG": "1"}
    return CliRunner().invoke(main, ["plan", *arguments, "--kubeconfig", kubeconfig], env=environ)


def read_plan(api: ApiServer, *arguments: str) -> Manifest:
    result = run(api.kubeconfig, "-o", "json", *arguments)
    assert result.exit_code in {0, 1, 3}, result.stderr
    document: Manifest = json.loads(result.stdout)
    return document


def find_rows(plan: Manifest) -> dict[str, Manifest]:
    return {f"{row['kind']}/{row['name']}": row for row in plan["workloads"]}


def create(api: ApiServer, namespace: str, kind: str, name: str, pod: Manifest | None = None, **spec: Any) -> None:
    """Create a workload whose pods have these resources."""
    pod = pod or build_pod(ROLE)
    pod["metadata"] |= {"labels": {"app": name}, "namespace": namespace}
    workload = build_workload(kind, pod)
    workload["metadata"]["name"] = name
    if kind in {"Job", "CronJob"}:
        template = workload["spec"].get("jobTemplate", workload)["spec"]["template"]
        template["spec"]["restartPolicy"] = "Never"
        workload["spec"].pop("replicas", None)
    elif kind != "Pod":
        selector = {"app": name} if kind == "ReplicationController" else {"matchLabels": {"app": name}}
        workload["spec"] |= {"selector": selector, **({"serviceName": ""} if kind == "StatefulSet" else {})}
    if kind == "DaemonSet":
        workload["spec"].pop("replicas", None)
    workload["spec"] |= spec
    api.create(workload, namespace)


def with_resources(resources: Manifest, annotations: Manifest | None = None, **spec: Any) -> Manifest:
    pod = build_pod(ROLE if annotations is None else annotations, **spec)
    pod["spec"]["containers"][0]["resources"] = resources
    return pod


def list_pods(api: ApiServer, namespace: str, app: str) -> list[Manifest]:
    pods = api.list("Pod", namespace)
    return [
        pod for pod in pods if pod["metadata"]["labels"]["app"] == app and "deletionTimestamp" not in pod["metadata"]
    ]


def await_pods(api: ApiServer, namespace: str, app: str, number: int) -> list[Manifest]:
    def find() -> list[Manifest] | None:
        found = list_pods(api, namespace, app)
        return found if len(found) == number else None

    return wait_for(f"{number} pods of {app}", find)


def test_plan_of_a_namespace_comes_true_when_it_is_labelled_and_restarted(
    api: ApiServer, namespaces: Namespaces
) -> None:
    namespace = namespaces.make(labels={})
    create(api, namespace, "Deployment", "web", with_resources(PLAIN), replicas=2)
    create(api, namespace, "Deployment", "whole", with_resources(GUARANTEED))
    create(api, namespace, "Deployment", "none", with_resources(PLAIN, {}))
    create(api, namespace, "StatefulSet", "db", with_resources(PLAIN))
    create(api, namespace, "ReplicationController", "old", with_resources(PLAIN))
    create(api, namespace, "DaemonSet", "agent", build_pod(ROLE, hostNetwork=True))
    create(api, namespace, "CronJob", "report", with_resources(PLAIN), suspend=True)
    create(api, namespace, "Pod", "bare", with_resources(PLAIN))
    before = [*await_pods(api, namespace, "web", 2), *await_pods(api, namespace, "db", 1)]
    for app in ("whole", "none", "old"):
        before += await_pods(api, namespace, app, 1)

    plan = read_plan(api, "-n", namespace)

    rows = find_rows(plan)
    assert {name: (row["pods"], row["then"]["mode"], row["restart"]["how"]) for name, row in rows.items()} == {
        "Deployment/web": (2, "redirect", "rollout"),
        "Deployment/whole": (1, "redirect", "rollout"),
        "Deployment/none": (1, "block", "rollout"),
        "StatefulSet/db": (1, "redirect", "rollout"),
        "ReplicationController/old": (1, "redirect", "delete pods"),
        "DaemonSet/agent": (0, None, "none"),
        "CronJob/report": (0, "redirect", "next run"),
        "Pod/bare": (1, "redirect", "recreate"),
    }
    assert rows["DaemonSet/agent"]["then"]["reason"] == "HostNetworkWithRole"
    assert rows["Deployment/web"]["then"]["role"] == READER

    api.patch(("Namespace", namespace), {"metadata": {"labels": ENABLED}})
    for pod in before:
        api.delete("Pod", pod["metadata"]["name"], namespace)
    for app, number in {"web": 2, "whole": 1, "none": 1, "db": 1, "old": 1}.items():
        row = next(row for name, row in rows.items() if name.endswith(f"/{app}"))
        wait_for(f"injected pods of {app}", partial(_are_injected, api, namespace, app, number))
        pods = list_pods(api, namespace, app)
        old = [pod for pod in before if pod["metadata"]["labels"]["app"] == app]
        added = {
            name: amount - add_totals(map(measure_as_it_is, old))[name]
            for name, amount in add_totals(map(measure_as_it_is, pods)).items()
        }
        assert {name: format_amount(name, amount) for name, amount in added.items()} == row["adds"], app

    after = find_rows(read_plan(api, "-n", namespace))
    needed = {name for name, row in after.items() if row["restart"]["how"] not in {"none", "next run"}}
    assert needed == {"Pod/bare"}
    assert after["Deployment/web"]["now"] == {"system": "podrole", "role": READER}


def _are_injected(api: ApiServer, namespace: str, app: str, number: int) -> bool | None:
    pods = list_pods(api, namespace, app)
    names = [[one["name"] for one in pod["spec"].get("initContainers", [])] for pod in pods]
    return True if len(pods) == number and all(OURS[0] in one for one in names) else None


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param({"max": {"memory": "128Mi"}}, id="maximum with room"),
        pytest.param({"max": {"memory": "64Mi"}}, id="maximum below the sidecar's limit"),
        pytest.param({"min": {"cpu": "50m"}}, id="minimum above its request"),
        pytest.param({"min": {"cpu": "10m"}}, id="minimum below its request"),
        pytest.param({"default": {"cpu": "10m"}}, id="default limit below its request"),
        pytest.param({"default": {"cpu": "200m"}, "defaultRequest": {"cpu": "10m"}}, id="defaults"),
        pytest.param({"max": {"cpu": "1"}}, id="maximum that becomes the default"),
        pytest.param({"maxLimitRequestRatio": {"memory": "1500m"}}, id="ratio below its own"),
        pytest.param({"maxLimitRequestRatio": {"memory": "3"}}, id="ratio above its own"),
        pytest.param({"type": "Pod", "max": {"memory": "100Mi"}}, id="maximum of the pod below both"),
        pytest.param({"type": "Pod", "max": {"memory": "1Gi"}}, id="maximum of the pod above both"),
    ],
)
def test_verdict_about_a_limit_range_is_that_of_the_api_server(
    api: ApiServer, namespaces: Namespaces, limits: Manifest
) -> None:
    namespace = namespaces.make()
    pod = with_resources({"requests": {"cpu": "50m", "memory": "48Mi"}, "limits": {"cpu": "50m", "memory": "48Mi"}})
    pod["spec"]["containers"][0]["resources"]["requests"]["memory"] = "32Mi"
    create(api, namespace, "Deployment", "web", pod, replicas=0)
    spec = {"limits": [{"type": "Container", **limits}]}
    api.create({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "limits"}, "spec": spec}, namespace)

    row = find_rows(read_plan(api, "-n", namespace))["Deployment/web"]

    is_rejected = "RejectedByLimitRange" in {finding["code"] for finding in row["findings"]}
    stored = try_to_create(api, pod, namespace)
    assert is_rejected is (stored is None), row["findings"]
    if stored:
        totals = measure_as_it_is(stored)
        plain = build_plain_totals(api, pod, namespaces, spec)
        assert row["adds_per_pod"] == {name: format_amount(name, totals[name] - plain[name]) for name in totals}


def try_to_create(api: ApiServer, pod: Manifest, namespace: str) -> Manifest | None:
    try:
        return api.create(pod, namespace, dry_run=True).object
    except RefusedError:
        return None


def build_plain_totals(api: ApiServer, pod: Manifest, namespaces: Namespaces, spec: Manifest) -> Any:
    """What the pod requests without podrole, under the same LimitRange."""
    namespace = namespaces.make(labels={})
    api.create({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "limits"}, "spec": spec}, namespace)
    return measure_as_it_is(api.create({**pod, "metadata": {"name": "plain"}}, namespace, dry_run=True).object)


@pytest.mark.parametrize(
    ("hard", "codes"),
    [
        pytest.param({"requests.memory": "1Gi"}, set(), id="room"),
        pytest.param({"requests.memory": "100Mi"}, {"QuotaTooSmall"}, id="no room"),
        pytest.param({"limits.cpu": "4"}, {"RejectedByQuota"}, id="CPU limit required"),
    ],
)
def test_quota_is_compared_with_its_use(
    api: ApiServer, namespaces: Namespaces, hard: Manifest, codes: set[str]
) -> None:
    namespace = namespaces.make(labels={})
    api.create(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team"}, "spec": {"hard": hard}}, namespace
    )
    wait_for("the quota's use", lambda: api.read("ResourceQuota", "team", namespace).get("status", {}).get("used"))
    create(api, namespace, "StatefulSet", "db", with_resources({**GUARANTEED, "requests": PLAIN["requests"]}))
    await_pods(api, namespace, "db", 1)

    plan = read_plan(api, "-n", namespace)

    findings = [*plan["namespaces"][0]["findings"], *find_rows(plan)["StatefulSet/db"]["findings"]]
    assert {one["code"] for one in findings if one["level"] == "problem"} == codes


def test_quota_of_the_default_priority_class_counts_pods_without_a_class(
    api: ApiServer, namespaces: Namespaces, default_priority_class: str, tmp_path: Path
) -> None:
    namespace = namespaces.make(labels={})
    wanted = {"scopeName": "PriorityClass", "operator": "In", "values": [default_priority_class]}
    spec = {"hard": {"requests.memory": "1Mi"}, "scopeSelector": {"matchExpressions": [wanted]}}
    metadata = {"name": "team"}
    api.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": spec}, namespace)
    create(api, namespace, "Deployment", "web", with_resources(PLAIN))
    every = {"apiGroups": ["", "apps", "batch"], "resources": ["*"], "verbs": ["get", "list"]}
    kubeconfig = create_user(api, namespace, [every], tmp_path)
    try:
        plan, limited = (
            json.loads(run(one, "-n", namespace, "-o", "json").stdout) for one in (api.kubeconfig, str(kubeconfig))
        )
    finally:
        delete_user(api, namespace)

    assert [one["code"] for one in plan["namespaces"][0]["findings"]] == ["QuotaTooSmall"]
    assert any("the kind PriorityClass " in one["text"] for one in limited["findings"] if one["level"] == "unknown")


def test_what_a_user_cannot_read_is_a_gap_and_an_exit_code(
    api: ApiServer, namespaces: Namespaces, tmp_path: Path
) -> None:
    namespace = namespaces.make(labels={})
    create(api, namespace, "Deployment", "web", with_resources(PLAIN))
    rules = [{"apiGroups": ["", "apps"], "resources": ["deployments", "replicasets"], "verbs": ["list"]}]
    kubeconfig = create_user(api, namespace, rules, tmp_path)
    try:
        result = run(str(kubeconfig), "-n", namespace, "-o", "json")
    finally:
        delete_user(api, namespace)

    assert result.exit_code == 3, result.stdout
    document = json.loads(result.stdout)
    unknown = [finding["text"] for finding in document["findings"] if finding["level"] == "unknown"]
    for kind in ("Namespace", "ServiceAccount", "Pod", "ResourceQuota"):
        assert any(f"the kind {kind} " in text for text in unknown), (kind, unknown)
    assert find_rows(document)["Deployment/web"]["then"]["role"] == READER


def test_documented_permissions_suffice_for_all_namespaces(
    api: ApiServer, namespaces: Namespaces, tmp_path: Path
) -> None:
    namespace = namespaces.make()
    create(api, namespace, "Deployment", "web", with_resources(PLAIN), replicas=0)
    rules = yaml.safe_load(read_block(read_section(ROOT / "docs/cli.md", "plan"), "yaml"))["rules"]
    kubeconfig = create_user(api, namespace, rules, tmp_path)
    try:
        document = json.loads(run(str(kubeconfig), "-A", "-o", "json").stdout)
    finally:
        delete_user(api, namespace)

    assert namespace in {one["name"] for one in document["namespaces"]}
    assert [one for one in document["findings"] if one["level"] == "unknown"] == []


def test_namespace_of_the_context_is_planned_by_default(api: ApiServer, namespaces: Namespaces, tmp_path: Path) -> None:
    namespace = namespaces.make()
    content = yaml.safe_load(Path(api.kubeconfig).read_text())
    content["contexts"][0]["context"]["namespace"] = namespace
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(content))

    result = run(str(kubeconfig), "-o", "json")

    assert [one["name"] for one in json.loads(result.stdout)["namespaces"]] == [namespace]


def test_all_namespaces_leave_out_those_that_the_webhook_excludes(api: ApiServer, namespaces: Namespaces) -> None:
    namespace = namespaces.make()
    create(api, namespace, "Deployment", "web", with_resources(PLAIN), replicas=0)

    document = read_plan(api, "-A")

    names = {one["name"] for one in document["namespaces"]}
    assert namespace in names
    assert "kube-system" not in names
    assert "SystemNamespaces" in {finding["code"] for finding in document["findings"]}


@pytest.mark.parametrize("output", ["text", "json", "html"])
def test_hostile_annotations_of_a_cluster_are_printable(api: ApiServer, namespaces: Namespaces, output: str) -> None:
    namespace = namespaces.make(labels={}, annotations={"iam.amazonaws.com/allowed-roles": STORED})
    create(api, namespace, "Deployment", "web", build_pod({"iam.amazonaws.com/role": f"<b>{STORED}"}), replicas=0)

    result = run(api.kubeconfig, "-n", namespace, "-o", output)

    assert result.exit_code == 1, result.stderr
    assert find_unprintable(result.stdout) == ""
    assert output != "html" or "<b>arn" not in result.stdout
