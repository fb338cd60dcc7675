"""Workloads that lack pods because podrole rejects them, as `preflight` reports them."""

from typing import Any

import pytest

from podrole.cluster.rejected_workloads import list_rejected
from podrole.diagnosis.cluster.checks import diagnose_cluster
from podrole.findings import Finding
from tests.unit.podrole.diagnosis.states import NOW, SAFE, build_cluster_state

DENIED = (
    'Error creating: admission webhook "pods.podrole.io" denied the request: podrole denies pod team-a/web-*: '
    "[RoleNotAllowed] The namespace does not allow the role"
)
UNREACHABLE = 'Error creating: Internal error occurred: failed calling webhook "pods.podrole.io": EOF'
GUARD = (
    "Error creating: pods \"web-1\" is forbidden: ValidatingAdmissionPolicy 'podrole-pods' with binding 'podrole-pods' "
    "denied request: no sidecar"
)


def build_event(message: str, kind: str = "ReplicaSet", name: str = "web-1") -> dict[str, Any]:
    workload = {"kind": kind, "namespace": "team-a", "name": name}
    return {"reason": "FailedCreate", "message": message, "involvedObject": workload}


@pytest.mark.parametrize("kind", ["ReplicaSet", "StatefulSet", "DaemonSet", "Job", "ReplicationController"])
@pytest.mark.parametrize(
    "message",
    [
        pytest.param(DENIED, id="denied"),
        pytest.param(UNREACHABLE, id="webhook-unreachable"),
        pytest.param(GUARD, id="guard"),
    ],
)
def test_workload_with_an_event_about_podrole_is_listed_once(message: str, kind: str) -> None:
    event = build_event(message, kind)

    assert [*list_rejected([event, event])] == [("team-a", kind, "web-1")]


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(build_event("Error creating: pods is forbidden: exceeded quota: team"), id="quota"),
        pytest.param(build_event('admission webhook "x.example.com" denied the request: no'), id="other-webhook"),
        pytest.param(build_event(DENIED, "Rollout"), id="custom-kind"),
        pytest.param({"message": DENIED}, id="without-object"),
        pytest.param({"message": None, "involvedObject": None}, id="null"),
    ],
)
def test_other_event_is_left_out(event: dict[str, Any]) -> None:
    assert [*list_rejected([event])] == []


def find(**changes: Any) -> list[Finding]:
    sections = diagnose_cluster(build_cluster_state(**changes), SAFE, NOW)
    return [finding for section in sections if section.title == "Workloads" for finding in section.findings]


def test_rejected_workloads_are_a_problem_that_names_the_next_command() -> None:
    [finding] = find(rejected_workloads=["ReplicaSet team-a/web-1", "Job team-b/report"])

    assert (finding.level, finding.code) == ("problem", "WorkloadsRejected")
    assert finding.text == "podrole rejects new pods of 2 workloads: ReplicaSet team-a/web-1, Job team-b/report."
    assert "podrole check -A" in finding.remedy


def test_cluster_without_rejected_workloads_is_ok() -> None:
    assert [finding.code for finding in find()] == ["NoWorkloadRejected"]


def test_events_that_cannot_be_read_are_unknown() -> None:
    [finding] = find(errors={"rejected_workloads": "events is forbidden"})

    assert finding.level == "unknown"
