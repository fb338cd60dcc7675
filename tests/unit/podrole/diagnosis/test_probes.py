"""Probe pods: their manifests, and what each result means."""

import json
from dataclasses import replace
from typing import Any

import pytest

from contract.modes import Mode
from podrole.deadlines import PROBE_POD_SECONDS
from podrole.diagnosis.probes import (
    LABELS,
    MAX_RUNTIME_CLASSES,
    ProbePod,
    build_namespace,
    build_probe_pods,
    check_probes,
    has_ended,
    read_result,
)
from podrole.diagnosis.state.check_context import CheckContext
from podrole.diagnosis.state.cluster import ProbeResult, ProbeRun, ReadResult
from podrole.diagnosis.state.installed_config import EffectiveConfig, build_effective_config
from podrole.findings import Finding
from testing.cases import ENVIRON
from tests.unit.podrole.diagnosis.states import NOW, build_cluster_state

EFFECTIVE: EffectiveConfig = build_effective_config(None, ENVIRON)
PODS = {(pod.mode, pod.runtime_class): pod for pod in build_probe_pods(EFFECTIVE, ["gvisor"], "a1")}
BLOCK = PODS[Mode.BLOCK, "gvisor"]
OPEN = {"state": "open", "addresses": {"169.254.169.254": {"state": "open", "reason": "gives session tokens"}}}
CLOSED = {"state": "closed", "addresses": {"169.254.169.254": {"state": "closed", "reason": "no route"}}}


def report(*results: ProbeResult, **run: Any) -> list[Finding]:
    state = replace(build_cluster_state(), probes=ReadResult(ProbeRun(results, **run)))
    return [*check_probes(CheckContext(state, NOW))]


def build_status(phase: str, init: dict[str, Any] | None = None, main: dict[str, Any] | None = None) -> dict[str, Any]:
    status: dict[str, Any] = {"phase": phase}
    if init is not None:
        status["initContainerStatuses"] = [{"name": "podrole-redirect", "state": init}]
    if main is not None:
        status["containerStatuses"] = [{"name": "probe", "state": main}]
    return {"status": status}


def end(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "message": message, "reason": reason}}


def test_each_mode_has_a_pod_with_the_default_runtime_and_each_class() -> None:
    assert [*PODS] == [(mode, runtime) for runtime in ("", "gvisor") for mode in Mode]
    assert len({pod.name for pod in PODS.values()}) == 6
    assert PODS[Mode.BLOCK, "gvisor"].manifest["spec"]["runtimeClassName"] == "gvisor"
    assert "runtimeClassName" not in PODS[Mode.BLOCK, ""].manifest["spec"]


@pytest.mark.parametrize("pod", PODS.values(), ids=lambda pod: f"{pod.mode}-{pod.runtime_class or 'default'}")
def test_pod_ends_by_itself_and_can_be_found(pod: ProbePod) -> None:
    spec = pod.manifest["spec"]

    assert pod.manifest["metadata"]["labels"] == LABELS
    assert (spec["activeDeadlineSeconds"], spec["restartPolicy"]) == (PROBE_POD_SECONDS, "Never")
    assert spec["automountServiceAccountToken"] is False
    assert spec["containers"][0]["image"] == ENVIRON["PODROLE_SIDECAR_IMAGE"]
    assert spec["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_rules_are_those_of_the_template_and_env_mode_has_none() -> None:
    rules = {mode: PODS[mode, ""].manifest["spec"]["initContainers"] for mode in Mode}

    assert rules[Mode.BLOCK] == [EFFECTIVE.template.block]
    assert rules[Mode.REDIRECT] == [EFFECTIVE.template.redirect]
    assert rules[Mode.ENV] == []


def test_number_of_runtime_classes_is_limited() -> None:
    pods = build_probe_pods(EFFECTIVE, [f"class-{number}" for number in range(50)], "a1")

    assert len(pods) == (MAX_RUNTIME_CLASSES + 1) * 3


def test_namespace_is_not_labelled_for_injection_and_allows_the_rules() -> None:
    labels = build_namespace("podrole-preflight-a1")["metadata"]["labels"]

    assert labels == {**LABELS, "pod-security.kubernetes.io/enforce": "privileged"}


@pytest.mark.parametrize(
    ("pod", "event", "problem"),
    [
        pytest.param({}, "", "the pod is new", id="deleted-meanwhile"),
        pytest.param(build_status("Pending"), "FailedScheduling: 0/3 nodes", "FailedScheduling: 0/3 nodes", id="event"),
        pytest.param(
            {
                "status": {
                    "phase": "Pending",
                    "conditions": [{"status": "False", "reason": "Unschedulable", "message": "no node\n is left"}],
                }
            },
            "",
            "Unschedulable: no node is left",
            id="condition",
        ),
        pytest.param(
            build_status("Pending", {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}),
            "Failed: other",
            "ImagePullBackOff: not found",
            id="image",
        ),
        pytest.param(
            build_status("Pending", {"waiting": {"reason": "PodInitializing"}}),
            "FailedCreatePodSandBox: no runtime for nope",
            "FailedCreatePodSandBox: no runtime for nope",
            id="sandbox",
        ),
        pytest.param(
            build_status("Failed", end(0), end(1, "No module named sidecar.probe")),
            "",
            "Error: No module named sidecar.probe",
            id="older-image",
        ),
        pytest.param(
            {"status": {"phase": "Failed", "reason": "DeadlineExceeded", "message": "too long"}},
            "",
            "DeadlineExceeded: too long",
            id="deadline",
        ),
        pytest.param(build_status("Succeeded", end(0), end(0, "[]", "Completed")), "", "[]", id="not-an-object"),
        pytest.param(build_status("Succeeded", end(0), end(0, "[" * 9999, "Completed")), "", "[[[", id="deep"),
        pytest.param(
            build_status("Succeeded", end(0), end(0, "", "Completed")), "", "the pod is Succeeded", id="empty"
        ),
    ],
)
def test_pod_without_a_report_is_unknown_with_its_reason(pod: dict[str, Any], event: str, problem: str) -> None:
    result = read_result(BLOCK, pod, event)

    [finding] = report(result)
    assert (finding.level, finding.code) == ("unknown", "ProbeNotRun")
    assert problem in finding.text
    assert "block mode with RuntimeClass gvisor" in finding.text


def test_failed_init_container_means_that_the_rules_cannot_be_loaded() -> None:
    message = "cache initialization failed: Invalid argument"

    [finding] = report(read_result(BLOCK, build_status("Failed", end(1, message)), ""))

    assert (finding.level, finding.code) == ("problem", "RulesNotLoaded")
    assert message in finding.text


@pytest.mark.parametrize(
    ("mode", "document", "level", "code"),
    [
        pytest.param(Mode.BLOCK, {"problems": []}, "ok", "BlockProven", id="block"),
        pytest.param(Mode.REDIRECT, {"problems": []}, "ok", "RedirectProven", id="redirect"),
        pytest.param(Mode.BLOCK, {"problems": ["a port 80: connected"]}, "problem", "RulesBypassed", id="bypassed"),
        pytest.param(Mode.BLOCK, {}, "problem", "RulesBypassed", id="no-list"),
        pytest.param(Mode.REDIRECT, {"problems": "none"}, "problem", "RulesBypassed", id="not-a-list"),
        pytest.param(Mode.ENV, {"node_metadata": CLOSED}, "ok", "NodeMetadataNotReachable", id="closed"),
        pytest.param(Mode.ENV, {"node_metadata": OPEN}, "warning", "NodeMetadataReachable", id="open"),
        pytest.param(Mode.ENV, {}, "warning", "NodeMetadataReachable", id="no-measurement"),
        pytest.param(
            Mode.ENV, {"node_metadata": CLOSED, "agent": None}, "ok", "NodeMetadataNotReachable", id="no-agent"
        ),
        pytest.param(Mode.ENV, {"node_metadata": OPEN, "agent": "Kiam"}, "unknown", "AgentAnswers", id="agent"),
        pytest.param(
            Mode.ENV, {"node_metadata": CLOSED, "agent": "kube2iam"}, "unknown", "AgentAnswers", id="agent-and-closed"
        ),
    ],
)
def test_report_of_a_pod_is_a_finding(mode: Mode, document: dict[str, Any], level: str, code: str) -> None:
    status = build_status("Succeeded", end(0), end(0, json.dumps(document), "Completed"))

    [finding] = report(read_result(PODS[mode, ""], status, ""))

    assert (finding.level, finding.code) == (level, code)
    assert "the default runtime" in finding.text


def test_open_connections_and_gifts_are_named() -> None:
    bypassed = ProbeResult(
        Mode.BLOCK, "kata", {"problems": ["169.254.169.254 port 80: connected", "x port 8080: timed out"]}
    )
    given = ProbeResult(Mode.ENV, "kata", {"node_metadata": OPEN})

    texts = [finding.text for finding in report(bypassed, given)]

    assert texts[0].endswith("with RuntimeClass kata: 169.254.169.254 port 80: connected; x port 8080: timed out")
    assert "169.254.169.254 gives session tokens" in texts[1]


def test_node_and_agent_are_named() -> None:
    document = {"node_metadata": OPEN, "agent": "kube2iam"}
    status = build_status("Succeeded", end(0), end(0, json.dumps(document), "Completed"))

    [finding] = report(read_result(PODS[Mode.ENV, ""], {**status, "spec": {"nodeName": "n1"}}, ""))

    assert finding.text.startswith("On node n1 kube2iam answers at 169.254.169.254, with the default runtime. ")
    assert "MetadataOptions.HttpPutResponseHopLimit" in finding.remedy


def test_omitted_classes_and_leftovers_are_reported() -> None:
    codes = [finding.code for finding in report(omitted=("b",), leftover="Run: kubectl delete namespace x")]

    assert codes == ["RuntimeClassesOmitted", "ProbesNotDeleted"]


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        pytest.param(build_status("Succeeded"), True, id="succeeded"),
        pytest.param(build_status("Failed"), True, id="failed"),
        pytest.param(build_status("Pending", {"waiting": {"reason": "ImagePullBackOff"}}), True, id="no-image"),
        pytest.param(build_status("Pending", {"waiting": {"reason": "PodInitializing"}}), False, id="starting"),
        pytest.param(build_status("Running", end(0), {"running": {}}), False, id="running"),
        pytest.param({}, False, id="no-status"),
    ],
)
def test_end_of_a_pod(pod: dict[str, Any], expected: bool) -> None:  # noqa: FBT001 - a column of the table
    assert has_ended(pod) is expected
