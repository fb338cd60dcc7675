"""Workloads that lack pods because podrole rejects them, as `preflight` reports them."""

from typing import Any

import pytest

from podrole.cluster.rejected_workloads import list_rejected
from podrole.diagnosis.cluster.checks import diagnose_cluster
from podrole.diagnosis.state.cluster import Installation
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


QUOTA = "Error creating: pods is forbidden: exceeded quota: team"
INSTALLED = build_cluster_state().installation
NO_WEBHOOK = build_cluster_state(webhooks=[]).installation
NO_GUARD = build_cluster_state(policy_bindings=[]).installation
REMOVED = build_cluster_state(webhooks=[], policies=[], policy_bindings=[]).installation


def unread(kind: str) -> Installation:
    return build_cluster_state({kind: "forbidden"}, webhooks=[], policies=[], policy_bindings=[]).installation


def build_event(message: str, kind: str = "ReplicaSet", name: str = "web-1", at: str = "") -> dict[str, Any]:
    workload = {"kind": kind, "namespace": "team-a", "name": name}
    times = {"type": "Warning", "lastTimestamp": at}
    return {"reason": "FailedCreate", "message": message, "involvedObject": workload, **times}


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

    assert [*list_rejected([event, event], INSTALLED)] == [("team-a", kind, "web-1")]


@pytest.mark.parametrize(
    ("message", "installation", "is_listed"),
    [
        pytest.param(DENIED, REMOVED, False, id="denied-and-podrole-is-removed"),
        pytest.param(UNREACHABLE, REMOVED, False, id="unreachable-and-podrole-is-removed"),
        pytest.param(GUARD, REMOVED, False, id="guard-and-podrole-is-removed"),
        pytest.param(DENIED, NO_WEBHOOK, False, id="denied-and-only-the-guard-is-left"),
        pytest.param(GUARD, NO_WEBHOOK, True, id="guard-is-left"),
        pytest.param(GUARD, NO_GUARD, False, id="guard-and-only-the-webhook-is-left"),
        pytest.param(DENIED, NO_GUARD, True, id="webhook-is-left"),
        pytest.param(DENIED, unread("webhooks"), True, id="webhooks-unknown"),
        pytest.param(GUARD, unread("policies"), True, id="policies-unknown"),
        pytest.param(GUARD, unread("policy_bindings"), True, id="bindings-unknown"),
    ],
)
def test_event_counts_while_what_rejected_the_pod_is_there(
    message: str, installation: Installation, *, is_listed: bool
) -> None:
    assert bool([*list_rejected([build_event(message)], installation)]) is is_listed


@pytest.mark.parametrize("order", [1, -1], ids=["ascending", "descending"])
@pytest.mark.parametrize(
    ("last", "is_listed"), [pytest.param(QUOTA, False, id="quota-last"), pytest.param(DENIED, True, id="podrole-last")]
)
def test_newest_event_of_a_workload_counts(last: str, order: int, *, is_listed: bool) -> None:
    first = DENIED if last == QUOTA else QUOTA
    events = [build_event(first, at="2026-09-01T10:00:00Z"), build_event(last, at="2026-09-01T10:30:00Z")]

    assert bool([*list_rejected(events[::order], INSTALLED)]) is is_listed


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(build_event(QUOTA), id="quota"),
        pytest.param(build_event('admission webhook "x.example.com" denied the request: no'), id="other-webhook"),
        pytest.param(build_event(DENIED, "Rollout"), id="custom-kind"),
        pytest.param({"message": DENIED}, id="without-object"),
        pytest.param({"message": None, "involvedObject": None}, id="null"),
    ],
)
def test_other_event_is_left_out(event: dict[str, Any]) -> None:
    assert [*list_rejected([event], INSTALLED)] == []


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
