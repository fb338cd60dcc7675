"""`podrole check` on workloads whose pods a real API server rejects. The controllers write events and conditions."""

import json
import os
from collections.abc import Mapping
from typing import Any

import pytest
from click.testing import CliRunner, Result

from podrole.__main__ import main
from testing.cases import ENVIRON
from testing.cluster.api import ApiServer, wait_for
from testing.cluster.namespaces import Namespaces
from testing.cluster.pods import APP, ROLE

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
    assert {"Denied", "WouldDeny"} <= list_codes(findings)
    denied = next(one for one in findings if one["code"] == "Denied")
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
    assert {"RolloutStuck", "Denied", "WouldDeny"} <= list_codes(findings)


def test_pod_that_was_deleted_and_is_denied_now_is_a_problem(api: ApiServer, namespaces: Namespaces) -> None:
    namespace = namespaces.make()
    api.create(build_workload("StatefulSet", WRITER), namespace)
    wait_for("the first pod", lambda: api.list("Pod", namespace))
    api.patch(("Namespace", namespace), {"metadata": {"annotations": ONLY_READER}})
    api.delete("Pod", "work-0", namespace)
    await_event(api, namespace)

    code, findings = check_workload(api, namespace, "StatefulSet")

    assert code == 1
    assert {"Denied", "WouldDeny"} <= list_codes(findings)


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
    assert {"JobWithoutPods", "Denied", "WouldDeny"} <= list_codes(findings)


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


def test_cause_that_is_gone_is_reported_with_how_to_go_on_at_once(api: ApiServer, strict: str) -> None:
    api.create(build_workload("StatefulSet", WRITER), strict)
    await_event(api, strict)
    # The controller does not see this change: it tries again after its own delay.
    api.patch(("Namespace", strict), {"metadata": {"annotations": {next(iter(ONLY_READER)): '["*"]'}}})

    def find_note() -> Result | None:
        result = run(api, "-n", strict, "statefulset/work")
        return result if "The API server would accept a new pod now" in " ".join(result.output.split()) else None

    result = wait_for("the webhook sees the change", find_note)

    assert f"> kubectl -n {strict} rollout restart statefulset/work" in result.output
