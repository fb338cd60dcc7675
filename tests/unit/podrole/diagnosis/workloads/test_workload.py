"""What is said about a workload itself, by table: what is missing, why, and what new pods would get."""

from typing import Any

import pytest

from podrole.diagnosis.state.cluster import DryRunResult, ReadResult
from podrole.findings import Finding
from tests.unit.podrole.diagnosis.states import LATER, build_running_pod
from tests.unit.podrole.diagnosis.workload_objects import (
    DENIAL,
    build_event,
    build_state,
    build_workload,
    diagnose,
    diagnose_state,
)

ATTENTION = {"warning", "problem", "unknown"}
FULL = {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3}
BAD_ROLE = {"iam.amazonaws.com/role": "a b"}
FORBIDDEN = 'pods is forbidden: User "jane" cannot create resource "pods" in API group "" (403)'


def list_codes(findings: tuple[Finding, ...], *levels: str) -> set[str]:
    return {one.code for one in findings if one.level in (levels or ATTENTION)}


def build_condition(kind: str, status: str = "True", **fields: str) -> dict[str, Any]:
    return {"type": kind, "status": status, "lastTransitionTime": LATER, **fields}


def build_job(**status: Any) -> dict[str, Any]:
    job = build_workload("Job", status)
    job["metadata"] = {**job["metadata"], "name": "web-1", "uid": "run"}
    return job


FAILED = build_condition("Failed", reason="BackoffLimitExceeded", message="Job has reached the limit")
HEALTHY = {
    "deployment": build_workload("Deployment", FULL, replicas=3),
    "deployment-with-default-replicas": build_workload(
        "Deployment", {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}
    ),
    "scaled-to-zero": build_workload("Deployment", {}, replicas=0),
    "stateful-set": build_workload(
        "StatefulSet", {**FULL, "updatedReplicas": 0, "currentRevision": "a", "updateRevision": "a"}, replicas=3
    ),
    "stateful-set-with-partition": build_workload(
        "StatefulSet",
        {"replicas": 3, "readyReplicas": 3, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"},
        replicas=3,
        updateStrategy={"rollingUpdate": {"partition": 2}},
    ),
    "daemon-set": build_workload(
        "DaemonSet",
        {
            "desiredNumberScheduled": 2,
            "currentNumberScheduled": 2,
            "updatedNumberScheduled": 2,
            "numberReady": 2,
        },
    ),
    "daemon-set-without-nodes": build_workload("DaemonSet", {"desiredNumberScheduled": 0}),
    "replica-set": build_workload("ReplicaSet", {"replicas": 1, "readyReplicas": 1}, replicas=1),
    "job-completed": build_workload("Job", {"conditions": [build_condition("Complete")]}, BAD_ROLE),
    "job-suspended": build_workload("Job", {}, suspend=True),
    "job-running": build_workload("Job", {"active": 1}),
    "cron-job": build_workload("CronJob", {}, schedule="0 0 * * *"),
}


@pytest.mark.parametrize("obj", HEALTHY.values(), ids=HEALTHY.keys())
def test_workload_without_a_fault_needs_no_attention(obj: dict[str, Any]) -> None:
    assert list_codes(diagnose(obj)) == set()


NO_PODS = build_workload("Deployment", {}, replicas=3)
REPLICA_FAILURE = build_condition("ReplicaFailure", message=DENIAL)
OLD_PODS = {"replicas": 3, "updatedReplicas": 0, "readyReplicas": 3}
DRY_RUN = DryRunResult("team-a", None, f"{DENIAL} (400)")
FAULTS: dict[str, tuple[tuple[Finding, ...], set[str]]] = {
    "event": (diagnose(NO_PODS, build_event()), {"PodsNotReady", "Denied"}),
    "condition": (
        diagnose(build_workload("Deployment", {"conditions": [REPLICA_FAILURE]})),
        {"PodsNotReady", "Denied"},
    ),
    "dry-run": (diagnose(NO_PODS, dry_run=DRY_RUN), {"PodsNotReady", "Denied"}),
    "no-reason": (diagnose(NO_PODS), {"PodsNotReady", "NoPodsUnexplained"}),
    "paused-before-its-first-pod": (
        diagnose(build_workload("Deployment", {}, replicas=3, paused=True)),
        {"PodsNotReady", "PausedWithoutPods"},
    ),
    "paused-after-a-change": (
        diagnose(build_workload("Deployment", OLD_PODS, replicas=3, paused=True)),
        {"PodsNotReady", "PausedWithoutPods"},
    ),
    "events-not-read": (
        diagnose(NO_PODS, events=ReadResult((), "forbidden")),
        {"EventsReadFailed", "PodsNotReady", "NoPodsUnexplained"},
    ),
    "stuck-rollout": (
        diagnose(build_workload("Deployment", OLD_PODS, replicas=3), build_event()),
        {"PodsNotReady", "RolloutStuck", "Denied"},
    ),
    "rollout-deadline": (
        diagnose(
            build_workload("Deployment", {**FULL, "conditions": [build_condition("Progressing", "False")]}, replicas=3)
        ),
        {"RolloutFailed"},
    ),
    "app-is-not-ready": (diagnose(build_workload("Deployment", {**FULL, "readyReplicas": 0})), {"PodsNotReady"}),
    "denied-at-the-next-restart": (diagnose(build_workload("Deployment", FULL, BAD_ROLE, replicas=3)), {"WouldDeny"}),
    "denied-when-scaled-up": (diagnose(build_workload("Deployment", {}, BAD_ROLE, replicas=0)), {"WouldDeny"}),
    "job-without-pods": (diagnose(build_workload("Job", {}), build_event()), {"JobWithoutPods", "Denied"}),
    "job-failed": (diagnose(build_workload("Job", {"conditions": [FAILED]})), {"JobFailed"}),
    "cron-job-next-run": (diagnose(build_workload("CronJob", {}, BAD_ROLE, suspend=True)), {"WouldDeny"}),
    "cron-job-last-run": (
        diagnose(build_workload("CronJob", {}), build_event(), children=(build_job(),)),
        {"JobWithoutPods", "Denied"},
    ),
    "cron-job-failed": (
        diagnose(build_workload("CronJob", {}), children=(build_job(conditions=[FAILED]),)),
        {"JobFailed"},
    ),
}


@pytest.mark.parametrize(("findings", "codes"), FAULTS.values(), ids=FAULTS.keys())
def test_fault_is_reported_with_its_reason(findings: tuple[Finding, ...], codes: set[str]) -> None:
    assert list_codes(findings) == codes


def test_status_of_an_earlier_generation_is_not_taken_for_missing_pods() -> None:
    obj = build_workload("Deployment", {"observedGeneration": 1}, replicas=3)
    obj["metadata"]["generation"] = 2

    findings = diagnose(obj, build_event())

    assert list_codes(findings) == set()
    assert "NotObserved" in list_codes(findings, "note")


REPEATED = (
    'admission webhook "pods.podrole.io" denied the request: pod team-a/web-x (request 1): [InvalidRole] {reason} And '
    "more."
)


@pytest.mark.parametrize(
    ("message", "codes"),
    [
        pytest.param(REPEATED, {"Denied"}, id="same-denial"),
        pytest.param(REPEATED.replace("{reason}", "Another."), {"Denied", "WouldDeny"}, id="other-denial"),
        pytest.param("exceeded quota: q", {"Quota", "WouldDeny"}, id="other-cause"),
    ],
)
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "Job"])
def test_denial_of_the_last_attempt_that_holds_is_one_problem(kind: str, message: str, codes: set[str]) -> None:
    (now,) = [
        one for one in diagnose(build_workload("Deployment", {}, BAD_ROLE, replicas=0)) if one.code == "WouldDeny"
    ]
    event = build_event(message.format(reason=now.text.partition("] ")[2]), uid=f"{kind}-uid")

    findings = diagnose(build_workload(kind, {}, BAD_ROLE), event)

    assert {code.removesuffix("Anyway") for code in list_codes(findings, "problem")} == codes


def test_denial_names_the_namespace() -> None:
    obj = build_workload("Deployment", FULL, replicas=3)
    obj["spec"]["template"]["spec"]["serviceAccountName"] = "nobody"

    (denied,) = [one for one in diagnose(obj) if one.code == "WouldDeny"]

    assert 'ServiceAccount "nobody" does not exist in namespace "team-a"' in denied.text


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "CronJob"])
def test_role_on_the_workload_instead_of_its_template_is_a_warning(kind: str) -> None:
    obj = build_workload(kind, {**FULL, "currentRevision": "a", "updateRevision": "a"}, {}, replicas=3)
    obj["metadata"]["annotations"] = {"iam.amazonaws.com/role": "reader"}

    (warning,) = [one for one in diagnose(obj) if one.level == "warning"]

    assert warning.code == "InjectionWarning"
    assert f"of the {kind} has no effect" in warning.text


def test_role_on_the_workload_is_a_warning_where_its_pods_have_only_the_default_role() -> None:
    obj = build_workload("Deployment", FULL, {}, replicas=3)
    obj["metadata"]["annotations"] = {"iam.amazonaws.com/role": "reader"}

    findings = diagnose_state(build_state(obj), default_role="fallback")

    assert [one.code for one in findings if one.level == "warning"] == ["InjectionWarning"]


def test_dry_run_that_is_accepted_says_that_the_controller_tries_again() -> None:
    findings = diagnose(NO_PODS, build_event(), dry_run=DryRunResult("team-a", build_running_pod()))

    (accepted,) = [one for one in findings if one.code == "AcceptedNow"]
    assert accepted.remedy == "kubectl -n team-a rollout restart deployment/web"
    assert "Denied" in list_codes(findings)


def test_dry_run_without_permission_leaves_the_event_as_the_reason() -> None:
    findings = diagnose(NO_PODS, build_event(), dry_run=DryRunResult("team-a", None, FORBIDDEN))

    assert list_codes(findings) == {"PodsNotReady", "Denied"}
    assert list_codes(findings, "note") >= {"DryRunNotPossible", "NotDeniedNow"}


def test_newest_event_and_the_dry_run_are_one_finding() -> None:
    findings = diagnose(NO_PODS, build_event("older"), dry_run=DRY_RUN)

    (denied,) = [one for one in findings if one.code == "Denied"]
    assert denied.text.startswith(
        f"podrole's webhook denies new pods (dry run now; last event FailedCreate at {LATER}): [RoleNotAllowed]"
    )


@pytest.mark.parametrize(
    "status",
    [{"replicas": None}, {"replicas": "3"}, {"conditions": None}, {"conditions": [{}]}],
    ids=["null", "text", "no-conditions", "empty-condition"],
)
def test_status_of_an_unexpected_form_counts_as_missing_pods(status: dict[str, Any]) -> None:
    assert "PodsNotReady" in list_codes(diagnose(build_workload("Deployment", status)))
