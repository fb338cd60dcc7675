"""The check of the guard's policies."""

from typing import Any

import pytest
import yaml

from podrole.diagnosis.cluster.checks import diagnose_cluster
from podrole.diagnosis.installation.guard import POLICIES
from podrole.diagnosis.pods.pod import diagnose_pod
from testing.repository import ROOT
from tests.unit.podrole.diagnosis.states import (
    NOW,
    build_cluster_state,
    build_pod_state,
    build_policy_binding,
    build_running_pod,
    list_concerns,
    list_findings,
)


def list_codes(**changes: Any) -> list[str]:
    return list_concerns(list_findings(diagnose_cluster(build_cluster_state(**changes), {}, NOW)))


def list_codes_of_check(**changes: Any) -> list[str]:
    sections = diagnose_pod(build_running_pod(), build_pod_state(**changes), {})
    return [finding.code for section in sections if section.title == "Guard" for finding in section.findings]


def test_policies_are_those_of_the_base() -> None:
    files = (ROOT / "kustomize" / "base" / "guard").glob("*.yaml")
    documents = [document for file in files for document in yaml.safe_load_all(file.read_text())]

    bound = {document["spec"]["policyName"] for document in documents if "Binding" in document.get("kind", "")}
    assert bound >= set(POLICIES)
    assert {name for name in bound if name not in POLICIES} == set()


@pytest.mark.parametrize(
    "bindings",
    [
        pytest.param([], id="no-binding"),
        pytest.param([build_policy_binding(policy) for policy in POLICIES[1:]], id="one-policy-without-a-binding"),
        pytest.param([build_policy_binding(policy, "Audit") for policy in POLICIES], id="bindings-that-only-audit"),
    ],
)
def test_missing_guard_is_the_only_concern(bindings: list[dict[str, Any]]) -> None:
    assert list_codes(policy_bindings=bindings) == ["GuardMissing"]


@pytest.mark.parametrize(
    "bindings", [[], [build_policy_binding(policy) for policy in POLICIES[1:]]], ids=["none", "one-less"]
)
def test_check_of_a_pod_reports_a_missing_guard(bindings: list[dict[str, Any]]) -> None:
    assert list_codes_of_check(policy_bindings=bindings) == ["GuardMissing"]


def test_check_of_a_pod_reports_a_guard_that_cannot_be_read() -> None:
    assert list_codes_of_check(errors={"policy_bindings": "cannot list policies: forbidden (403)"}) == [
        "GuardReadFailed"
    ]


def test_check_of_a_pod_reports_a_guard_in_effect() -> None:
    assert list_codes_of_check() == ["GuardInEffect"]


def test_guard_in_effect_is_no_concern() -> None:
    assert list_codes() == []


def test_api_server_without_policies_is_noted() -> None:
    findings = list_findings(
        diagnose_cluster(build_cluster_state(version={"gitVersion": "v1.29.4"}, policy_bindings=[]), {}, NOW)
    )

    codes = [finding.code for finding in findings]
    assert "GuardNotSupported" in codes
    assert "GuardMissing" not in codes


def test_cluster_without_podrole_needs_no_guard() -> None:
    assert "GuardMissing" not in list_codes(webhooks=[], deployment=None, policy_bindings=[])


def test_bindings_that_cannot_be_read_are_unknown() -> None:
    assert "ReadFailed" in list_codes(errors={"policy_bindings": "forbidden"})
