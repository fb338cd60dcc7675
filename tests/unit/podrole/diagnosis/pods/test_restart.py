"""The command that restarts a workload: one that kubectl accepts, and that replaces the pod."""

from dataclasses import replace
from typing import Any

import pytest

from podrole.diagnosis.pods.restart import fit_restart
from podrole.diagnosis.state.cluster import ReadResult
from testing.cases import Pod
from tests.unit.podrole.diagnosis.states import build_plain_pod, build_pod_state, diagnose_running_pod
from tests.unit.podrole.diagnosis.workload_objects import build_workload, diagnose_all, own

CREATED = {"creationTimestamp": "2026-11-24T18:00:00Z", "uid": "pod", "name": "web-0"}
DELETE = "kubectl -n team-a delete pod web-0   # its updateStrategy keeps it from a rollout"
RESTART = "kubectl -n team-a rollout restart {}/web"
RESUME = f"kubectl -n team-a rollout resume deployment/web && {RESTART.format('deployment')}"

WORKLOADS = [
    pytest.param("StatefulSet", {"updateStrategy": {"type": "OnDelete"}}, DELETE, id="stateful-set-on-delete"),
    pytest.param("DaemonSet", {"updateStrategy": {"type": "OnDelete"}}, DELETE, id="daemon-set-on-delete"),
    pytest.param("StatefulSet", {"updateStrategy": {"rollingUpdate": {"partition": 2}}}, DELETE, id="partition"),
    pytest.param(
        "StatefulSet",
        {"updateStrategy": {"rollingUpdate": {"partition": 0}}},
        RESTART.format("statefulset"),
        id="no-partition",
    ),
    pytest.param("Deployment", {"paused": True}, RESUME, id="paused"),
    pytest.param("Deployment", {"paused": False}, RESTART.format("deployment"), id="not-paused"),
    pytest.param("Deployment", {}, RESTART.format("deployment"), id="neither"),
]


def build_old_pod(kind: str) -> Pod:
    """A pod from before the namespace's label."""
    return own(build_plain_pod(), kind=kind, **CREATED)


@pytest.mark.parametrize(("kind", "spec", "command"), WORKLOADS)
def test_restart_of_a_pod_without_podrole_fits_its_workload(kind: str, spec: dict[str, Any], command: str) -> None:
    state = replace(build_pod_state(), workload=ReadResult(build_workload(kind, **spec)))

    findings = diagnose_running_pod(build_old_pod(kind), state)

    assert command in [finding.remedy for finding in findings if finding.code == "CreatedBeforeLabel"]


@pytest.mark.parametrize(("kind", "spec", "command"), WORKLOADS)
def test_restart_in_the_overview_fits_the_workload(kind: str, spec: dict[str, Any], command: str) -> None:
    full = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), 1)

    result = diagnose_all(build_workload(kind, full, **spec), build_old_pod(kind))

    [(_, section)] = result.workloads
    assert command in [finding.remedy for finding in section.findings if finding.code == "CreatedBeforeLabel"]


def test_remedy_without_a_restart_is_not_changed() -> None:
    assert fit_restart("podrole preflight", {"spec": 5}, "web-0") == "podrole preflight"
