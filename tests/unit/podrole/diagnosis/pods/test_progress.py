"""What a pod waits for, and whether podrole is the reason."""

from typing import Any

import pytest

from podrole.diagnosis.pods.progress import report_progress
from podrole.findings import Finding
from testing.cases import Pod
from tests.unit.podrole.diagnosis.states import (
    LATER,
    build_plain_pod,
    build_pod_state,
    build_running_pod,
    diagnose_running_pod,
    list_concerns,
)
from tests.unit.podrole.diagnosis.workload_objects import own

NOW = 1_790_000_000.0
LONG_AGO = "2026-01-01T00:00:00Z"
SOON = "2027-01-01T00:00:00Z"
PAUSE = {"waiting": {"reason": "PodInitializing"}}
RUNNING = {"running": {"startedAt": LATER}}
MIGRATE = {"name": "migrate", "image": "example/migrate:1"}


def report(pod: Pod, *events: dict[str, Any]) -> list[Finding]:
    return [*report_progress(pod, events, NOW)]


def build_pod(phase: str = "Pending", **status: Any) -> Pod:
    pod = build_running_pod()
    pod["status"] |= {"phase": phase, **status}
    return pod


def build_pod_with(name: str, state: dict[str, Any], **status: Any) -> Pod:
    """A pod whose own container is in this state: `migrate` is an init container."""
    pod = build_pod()
    one = {"name": name, "state": state, "restartCount": 0, "ready": False, **status}
    if name == "migrate":
        pod["spec"]["initContainers"].append(MIGRATE)
        pod["status"]["initContainerStatuses"].append(one)
        one = {"name": "app", "state": PAUSE, "restartCount": 0}
    pod["status"]["containerStatuses"] = [one]
    return pod


def build_deleted_pod(due: str, *finalizers: str) -> Pod:
    pod = build_running_pod()
    pod["metadata"] |= {"deletionTimestamp": due, "finalizers": [*finalizers]}
    pod["spec"]["nodeName"] = "n1"
    return pod


def build_ended_pod() -> Pod:
    pod = build_deleted_pod(LONG_AGO)
    pod["status"]["containerStatuses"] = [{"name": "app", "state": {"terminated": {"exitCode": 0}}}]
    return pod


def build_unscheduled_pod(reason: str, message: str = "") -> Pod:
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    pod = build_pod(conditions=[condition], initContainerStatuses=[])
    pod["spec"]["schedulingGates"] = [{"name": "example.com/wait"}]
    return pod


def build_failed_pod(reason: str, message: str) -> Pod:
    return build_pod("Failed", reason=reason, message=message)


EXITED = {"terminated": {"exitCode": 3, "reason": "Error"}}
CASES = {
    "running": (build_running_pod(), None),
    "own-init-container-runs": (
        build_pod_with("migrate", RUNNING),
        (
            "note",
            "InitRunning",
            "podrole's part is done. The pod waits for its own init container migrate, which runs since",
        ),
    ),
    "own-init-container-crashes": (
        build_pod_with("migrate", {"waiting": {"reason": "CrashLoopBackOff"}}, lastState=EXITED, restartCount=4),
        ("warning", "ContainerFailing", "podrole's part is done. The pod's own container migrate keeps exiting (4 "),
    ),
    "own-init-container-failed": (
        build_pod_with("migrate", EXITED),
        ("warning", "ContainerEnded", "container migrate exited with code 3, Error."),
    ),
    "image-of-own-init-container": (
        build_pod_with("migrate", {"waiting": {"reason": "ErrImagePull", "message": "not found"}}),
        ("warning", "ImagePullFailed", "The image of the pod's own container migrate cannot be pulled: ErrImagePull"),
    ),
    "image-of-app": (
        build_pod_with("app", {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}}),
        ("warning", "ImagePullFailed", "The image of the pod's own container app cannot be pulled"),
    ),
    "config-of-app": (
        build_pod_with("app", {"waiting": {"reason": "CreateContainerConfigError", "message": "no secret"}}),
        ("warning", "ContainerNotStarted", "container app cannot be started: CreateContainerConfigError no secret"),
    ),
    "app-crashes": (
        build_pod_with("app", {"waiting": {"reason": "CrashLoopBackOff"}}, lastState=EXITED, restartCount=2),
        ("warning", "ContainerFailing", "container app keeps exiting (2 restarts): exit code 3, Error."),
    ),
    "app-is-not-ready": (
        build_pod_with("app", RUNNING),
        ("note", "NotReady", "runs, but its readiness or startup probe has not succeeded"),
    ),
    "app-is-being-created": (build_pod_with("app", {"waiting": {"reason": "ContainerCreating"}}), None),
    "app-completed": (build_pod_with("app", {"terminated": {"exitCode": 0}}), None),
    "unschedulable-with-podrole": (
        build_unscheduled_pod("Unschedulable", "0/3 nodes are available: 3 Insufficient cpu."),
        (
            "problem",
            "UnschedulableWithPodrole",
            "Insufficient cpu. Without what podrole adds to its requests it may fit",
        ),
    ),
    "unschedulable-by-selector": (
        build_unscheduled_pod("Unschedulable", "0/3 nodes are available: 3 didn't match Pod's node selector."),
        ("warning", "Unschedulable", "not because of podrole: 0/3 nodes are available: 3 didn't match"),
    ),
    "unschedulable-by-another-resource": (
        build_unscheduled_pod("Unschedulable", "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."),
        ("warning", "Unschedulable", "Insufficient nvidia.com/gpu."),
    ),
    "sidecar-delays-the-end": (
        build_ended_pod(),
        ("problem", "SidecarDelaysEnd", "its own containers have ended, and podrole-sidecar still runs"),
    ),
    "scheduling-gate": (
        build_unscheduled_pod("SchedulingGated"),
        ("note", "SchedulingGated", "gates are example.com/wait"),
    ),
    "being-deleted": (build_deleted_pod(SOON, "example.com/a"), ("note", "Terminating", f"has until {SOON}")),
    "deletion-waits-for-finalizers": (
        build_deleted_pod(LONG_AGO, "example.com/a", "example.com/b"),
        ("warning", "Finalizers", "none of which is podrole's: example.com/a, example.com/b."),
    ),
    "deletion-waits-for-node": (build_deleted_pod(LONG_AGO), ("warning", "TerminationOverdue", "Its node n1 has not")),
    "evicted": (
        build_failed_pod("Evicted", "The node was low on resource: memory. Container app was using 2Gi, request is 0."),
        ("note", "FailedAndReplaced", "its Deployment replaced it (Evicted): The node"),
    ),
    "evicted-because-of-podrole": (
        build_failed_pod("Evicted", "Container podrole-sidecar exceeded its local ephemeral storage limit"),
        ("problem", "EvictedBecauseOfPodrole", "because of podrole's container (Evicted)"),
    ),
    "node-shutdown": (
        build_failed_pod("NodeShutdown", "Pod was terminated"),
        ("note", "FailedAndReplaced", "(NodeShutdown)"),
    ),
    "sidecar-that-the-kubelet-forbids": (
        build_failed_pod(
            "InitContainerRestartPolicyForbidden",
            'Pod was rejected: Init container "podrole-sidecar" may not have a non-default restartPolicy',
        ),
        ("problem", "RejectedByKubelet", "because of podrole's container (InitContainerRestartPolicyForbidden): Pod"),
    ),
    "evicted-without-a-controller": (
        own(build_failed_pod("Evicted", "low on memory"), ownerReferences=[]),
        ("warning", "Failed", "(Evicted): low on memory"),
    ),
}


@pytest.mark.parametrize(("pod", "expected"), CASES.values(), ids=CASES.keys())
def test_what_the_pod_waits_for_is_named(pod: Pod, expected: tuple[str, str, str] | None) -> None:
    findings = report(pod)

    assert [(one.level, one.code) for one in findings] == ([expected[:2]] if expected else [])
    assert expected is None or expected[2] in findings[0].text


def test_own_containers_are_not_blamed_while_podroles_do_not_run() -> None:
    pod = build_pod_with("migrate", PAUSE)
    pod["status"]["initContainerStatuses"][1]["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}

    assert report(pod) == []


@pytest.mark.parametrize(
    ("reason", "message", "code"),
    [
        pytest.param(
            "FailedMount",
            'MountVolume.SetUp failed for volume "podrole-token": no',
            "PodroleVolumeNotMounted",
            id="token",
        ),
        pytest.param(
            "FailedMount", 'MountVolume.SetUp failed for volume "config": no', "VolumeNotMounted", id="own-volume"
        ),
        pytest.param("FailedAttachVolume", "Multi-Attach error", "VolumeNotMounted", id="attach"),
        pytest.param("FailedCreatePodSandBox", "plugin type=calico failed", "SandboxNotCreated", id="sandbox"),
    ],
)
def test_last_event_before_the_first_container_is_named(reason: str, message: str, code: str) -> None:
    pod = build_pod(initContainerStatuses=[{"name": "podrole-redirect", "state": PAUSE}])
    event = {"type": "Warning", "reason": reason, "message": message, "lastTimestamp": LATER}

    assert [one.code for one in report(pod, event)] == [code]
    assert report(build_running_pod(), event) == []


def test_pod_that_was_not_injected_is_not_said_to_have_podroles_part() -> None:
    pod = build_plain_pod()
    pod["status"] = {"containerStatuses": [{"name": "app", "state": RUNNING, "ready": False}]}

    (finding,) = report(pod)

    assert finding.text.startswith("The pod's own container app runs")


@pytest.mark.parametrize("reason", ["CreateContainerError", "CreateContainerConfigError", "RunContainerError"])
def test_container_of_podrole_that_cannot_be_started_is_a_problem(reason: str) -> None:
    pod = build_running_pod()
    pod["status"]["initContainerStatuses"][1]["state"] = {"waiting": {"reason": reason, "message": "no"}}

    findings = diagnose_running_pod(pod, build_pod_state())

    assert [one.code for one in findings if one.level == "problem"] == ["ContainerNotStarted"]


def test_pod_that_waits_for_its_own_init_container_needs_no_attention() -> None:
    pod = build_running_pod(initContainers=[MIGRATE])
    pod["status"] = build_pod_with("migrate", RUNNING)["status"]

    findings = diagnose_running_pod(pod)

    assert "InitRunning" in [one.code for one in findings]
    assert list_concerns(findings) == []
