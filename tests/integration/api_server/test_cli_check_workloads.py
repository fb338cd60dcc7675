"""`podrole check` on workloads whose pods a real API server rejects. The controllers write events and conditions."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from podrole.__main__ import main
from testing.cases import ENVIRON
from testing.cluster.api import ApiServer, wait_for
from testing.cluster.namespaces import Namespaces
from testing.cluster.pods import APP, ROLE
from testing.cluster.rbac_users import create_user, delete_user
from testing.repository import ROOT

LABELS = {"app": "work"}
ONLY_READER = {"iam.amazonaws.com/allowed-roles": '["reader"]'}
WRITER = {"iam.amazonaws.com/role": "writer"}
LONG_AGO = "2020-01-01T00:00:00Z"
CREATE_REASONS = {"FailedCreate", "ReplicaSetCreateError"}
NEEDS_ATTENTION = {"warning", "problem", "unknown"}


def build_template(annotations: Mapping[str, str], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": LABELS, "annotations": annotations}, "spec": {"containers": [APP]} | spec}


def build_workload(kind: str, annotations: Mapping[str, str] = ROLE, **spec: Any) -> dict[str, Any]:
    """A workload named `work`; `spec` are fields of its pods."""
    template = build_template(annotations, **spec)
    selected = {"selector": {"matchLabels": LABELS}, "template": template}
    once = {"template": build_template(annotations, restartPolicy="Never", **spec)}
    version, fields = {
        "Deployment": ("apps/v1", selected),
        "DaemonSet": ("apps/v1", selected),
        "StatefulSet": ("apps/v1", {**selected, "serviceName": "work"}),
        "ReplicationController": ("v1", {"selector": LABELS, "template": template}),
        "Job": ("batch/v1", once),
        "CronJob": ("batch/v1", {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": once}}),
    }[kind]
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "work"}, "spec": fields}


def run(api: ApiServer, *arguments: str) -> Result:
    environ = {"PATH": os.environ["PATH"], **ENVIRON}
    return CliRunner().invoke(main, ["check", *arguments, "--kubeconfig", api.kubeconfig], env=environ)


def check_workload(api: ApiServer, namespace: str, kind: str, *options: str) -> tuple[int, list[dict[str, str]]]:
    """The exit code, and the findings about the workload that need attention."""
    result = run(api, "-n", namespace, f"{kind.lower()}/work", "--output", "json", *options)
    findings = json.loads(result.stdout)["workload"]["findings"]
    return result.exit_code, [one for one in findings if one["level"] in NEEDS_ATTENTION]


def list_codes(findings: list[dict[str, str]]) -> set[str]:
    return {one["code"] for one in findings}


def await_event(api: ApiServer, namespace: str) -> None:
    wait_for(
        f"a pod of namespace {namespace} is rejected",
        lambda: [one for one in api.list("Event", namespace) if one.get("reason") in CREATE_REASONS],
    )


@pytest.fixture
def strict(namespaces: Namespaces) -> str:
    """A namespace that allows the role reader only."""
    return namespaces.make(annotations=ONLY_READER)


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("options", [(), ("--no-dry-run",)], ids=["dry-run", "event"])
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicationController", "Job"])
def test_workload_whose_pods_are_denied_is_a_problem_with_the_denial(
    api: ApiServer, strict: str, kind: str, options: tuple[str, ...]
) -> None:
    api.create(build_workload(kind, WRITER), strict)
    await_event(api, strict)

    code, findings = check_workload(api, strict, kind, *options)

    assert code == 1
    (denied,) = [one for one in findings if one["level"] == "problem"]
    assert denied["code"] == "Denied"
    assert "[RoleNotAllowed] The namespace does not allow the role" in denied["text"]
    assert "event FailedCreate at" in denied["text"]
    assert ("dry run now" in denied["text"]) == (not options)


def test_rollout_whose_new_pods_are_denied_is_stuck_while_the_old_ones_run(api: ApiServer, strict: str) -> None:
    api.create(build_workload("Deployment"), strict)
    wait_for("the first pod", lambda: api.list("Pod", strict))
    api.patch(("Deployment", "work"), {"spec": {"template": {"metadata": {"annotations": WRITER}}}}, strict)
    await_event(api, strict)

    code, findings = check_workload(api, strict, "Deployment")

    assert code == 1
    assert list_codes(findings) >= {"RolloutStuck", "Denied"}
    assert "WouldDeny" not in list_codes(findings)


def test_pod_that_was_deleted_and_is_denied_now_is_a_problem(api: ApiServer, namespaces: Namespaces) -> None:
    namespace = namespaces.make()
    api.create(build_workload("StatefulSet", WRITER), namespace)
    wait_for("the first pod", lambda: api.list("Pod", namespace))
    api.patch(("Namespace", namespace), {"metadata": {"annotations": ONLY_READER}})
    api.delete("Pod", "work-0", namespace)
    await_event(api, namespace)

    code, findings = check_workload(api, namespace, "StatefulSet")

    assert code == 1
    assert "Denied" in list_codes(findings)
    assert "WouldDeny" not in list_codes(findings)


def test_suspended_cron_job_whose_next_run_would_be_denied_is_a_problem(api: ApiServer, strict: str) -> None:
    cron_job = build_workload("CronJob", WRITER)
    cron_job["spec"]["suspend"] = True
    api.create(cron_job, strict)

    code, findings = check_workload(api, strict, "CronJob")

    assert (code, list_codes(findings)) == (1, {"WouldDeny"})


def test_cron_job_whose_last_job_has_no_pod_is_a_problem(api: ApiServer, strict: str) -> None:
    api.create(build_workload("CronJob", WRITER), strict)
    api.patch(("CronJob", "work/status"), {"status": {"lastScheduleTime": LONG_AGO}}, strict)
    await_event(api, strict)

    code, findings = check_workload(api, strict, "CronJob")

    assert code == 1
    assert list_codes(findings) == {"JobWithoutPods", "Denied"}


def test_workload_that_is_scaled_to_zero_tells_what_its_pods_would_get(api: ApiServer, namespace: str) -> None:
    deployment = build_workload("Deployment")
    deployment["spec"]["replicas"] = 0
    api.create(deployment, namespace)

    result = run(api, "-n", namespace, "deployment/work")

    assert result.exit_code == 0, result.output
    assert "It is scaled to 0 and has no pods." in result.output
    assert "The webhook would inject the role" in result.output


@pytest.mark.parametrize(
    ("cpu", "code"),
    [
        pytest.param("105m", "QuotaBecauseOfPodrole", id="podrole-does-not-fit"),
        pytest.param("50m", "QuotaAnyway", id="app-does-not-fit-either"),
    ],
)
def test_quota_is_because_of_podrole_only_if_the_pod_alone_would_fit(
    api: ApiServer, namespace: str, cpu: str, code: str
) -> None:
    hard = {"requests.cpu": cpu}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "cpu"}, "spec": {"hard": hard}}
    api.create(quota, namespace)
    container = {**APP, "resources": {"requests": {"cpu": "100m"}}}
    api.create(build_workload("Deployment", containers=[container]), namespace)
    await_event(api, namespace)

    exit_code, findings = check_workload(api, namespace, "Deployment")

    assert exit_code == 1
    assert code in list_codes(findings)


def test_missing_service_account_is_named_as_the_cause(api: ApiServer, namespace: str) -> None:
    api.create(build_workload("Deployment", serviceAccountName="nobody"), namespace)
    await_event(api, namespace)

    code, findings = check_workload(api, namespace, "Deployment")

    assert code == 1
    assert {"ServiceAccountMissing", "WouldDeny"} <= list_codes(findings)


def check_all(api: ApiServer, *arguments: str) -> tuple[int, dict[str, Any]]:
    result = run(api, *arguments, "--output", "json")
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.usefixtures("node")
def test_namespace_shows_only_what_is_not_ok(api: ApiServer, namespaces: Namespaces) -> None:
    namespace = namespaces.make(annotations=ONLY_READER)
    for kind in ("DaemonSet", "StatefulSet"):
        api.create(build_workload(kind, WRITER), namespace)
    api.create(rename(build_workload("CronJob"), "nightly"), namespace)
    wait_for("both are rejected", lambda: len({read_subject(one) for one in api.list("Event", namespace)}) == 2)

    code, document = check_all(api, "-n", namespace)

    assert code == 1
    found = {one["workload"]: {finding["code"] for finding in one["findings"]} for one in document["workloads"]}
    assert found.keys() == {f"daemonset {namespace}/work", f"statefulset {namespace}/work"}
    assert all("Denied" in codes and "WouldDeny" not in codes for codes in found.values())
    assert document["counts"] == {
        "workloads": 3,
        "pods": 0,
        "namespaces": 1,
        "ok": 1,
        "not_checked": 0,
        "kinds_not_read": 0,
    }


def rename(workload: dict[str, Any], name: str) -> dict[str, Any]:
    return {**workload, "metadata": {"name": name}}


def read_subject(event: dict[str, Any]) -> str | None:
    return event["involvedObject"]["kind"] if event["reason"] in CREATE_REASONS else None


def test_job_of_a_cron_job_is_reported_under_it(api: ApiServer, strict: str) -> None:
    api.create(build_workload("CronJob", WRITER), strict)
    api.patch(("CronJob", "work/status"), {"status": {"lastScheduleTime": LONG_AGO}}, strict)
    await_event(api, strict)

    code, document = check_all(api, "-n", strict)

    assert code == 1
    (workload,) = document["workloads"]
    assert workload["workload"] == f"cronjob {strict}/work"
    assert {one["code"] for one in workload["findings"]} == {"JobWithoutPods", "Denied"}


def test_pod_that_was_deployed_before_the_label_is_reported_under_its_workload(
    api: ApiServer, namespaces: Namespaces
) -> None:
    namespace = namespaces.make(labels={})
    api.create(build_workload("Deployment"), namespace)
    wait_for("the pod", lambda: api.list("Pod", namespace))
    api.patch(("Namespace", namespace), {"metadata": {"labels": {"podrole.io/injection": "enabled"}}})

    code, document = check_all(api, "-n", namespace)

    assert code == 1
    (workload,) = document["workloads"]
    assert workload["workload"] == f"deployment {namespace}/work"
    assert "CreatedBeforeLabel" in {one["code"] for one in workload["findings"]}


def test_namespace_without_the_label_is_named_with_its_workloads(api: ApiServer, namespaces: Namespaces) -> None:
    namespace = namespaces.make(labels={})
    api.create(build_workload("StatefulSet"), namespace)
    api.create(rename(build_workload("StatefulSet", {}), "other"), namespace)

    result = run(api, "-n", namespace)

    assert result.exit_code == 1
    text = " ".join(result.output.split())
    assert "its 2 workloads were not checked. 1 of them sets a role." in text
    assert f"> kubectl label namespace {namespace} podrole.io/injection=enabled --overwrite" in text


def test_daemon_sets_that_a_user_cannot_list_are_unknown(
    api: ApiServer, namespaces: Namespaces, tmp_path: Path
) -> None:
    """kube2iam can be among them, which can give the workload its role."""
    namespace = namespaces.make(labels={})
    api.create(build_workload("StatefulSet"), namespace)
    rules = read_documented_rules()
    for rule in rules:
        rule["resources"] = [one for one in rule["resources"] if one != "daemonsets"]
    try:
        kubeconfig = create_user(api, namespace, rules, tmp_path)
        result = CliRunner().invoke(main, ["check", "-n", namespace, "--kubeconfig", str(kubeconfig)], env=ENVIRON)
    finally:
        delete_user(api, namespace)

    text = " ".join(result.output.split())
    assert result.exit_code == 1, text
    assert f"Whether something gives these workloads the role that they set is not known: {namespace}/" in text
    assert "No workload was checked; not checked: 1; kinds not read: 1 0 problems, 1 warning, 2 unknown" in text


def test_namespace_that_does_not_exist_is_a_usage_error(api: ApiServer) -> None:
    result = run(api, "-n", "podrole-nothing-here")

    assert result.exit_code == 2
    assert "namespace podrole-nothing-here does not exist" in result.output


def test_all_namespaces_are_checked_at_once(api: ApiServer, namespaces: Namespaces) -> None:
    broken, other = namespaces.make(annotations=ONLY_READER), namespaces.make(labels={})
    api.create(build_workload("StatefulSet", WRITER), broken)
    api.create(build_workload("StatefulSet"), other)
    await_event(api, broken)

    code, document = check_all(api, "-A")

    assert code == 1
    assert f"statefulset {broken}/work" in [one["workload"] for one in document["workloads"]]
    assert f"statefulset {other}/work" not in [one["workload"] for one in document["workloads"]]
    assert "NamespacesNotLabelled" in [one["code"] for one in document["cluster"]]


def read_documented_rules() -> list[dict[str, Any]]:
    """The rules of the ClusterRole in docs/cli.md."""
    text = (ROOT / "docs/cli.md").read_text()
    role = next(block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "podrole-check" in block)
    rules: list[dict[str, Any]] = yaml.safe_load(role)["rules"]
    return rules


@pytest.mark.parametrize(
    "arguments", [("-A",), ("-n", "{}"), ("-n", "{}", "statefulset/work")], ids=["all", "ns", "one"]
)
def test_documented_permissions_are_enough(
    api: ApiServer, strict: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    api.create(build_workload("StatefulSet", WRITER), strict)
    await_event(api, strict)
    try:
        kubeconfig = create_user(api, strict, read_documented_rules(), tmp_path)
        named = [one.format(strict) for one in arguments]
        result = CliRunner().invoke(
            main, ["check", *named, "--output", "json", "--kubeconfig", str(kubeconfig)], env=dict(ENVIRON)
        )
    finally:
        delete_user(api, strict)

    assert result.exit_code == 1, result.output
    assert '"Denied"' in result.stdout
    assert not re.search("cannot [a-z]+ resource", result.stdout)  # other tests' namespaces can have what is unknown
    assert "(dry run now" in result.stdout
