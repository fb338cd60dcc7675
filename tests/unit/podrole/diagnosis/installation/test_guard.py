"""The check of the guard's policies."""

from typing import Any

import pytest
import yaml

from podrole.diagnosis.cluster.checks import diagnose_cluster
from podrole.diagnosis.installation.guard import POLICIES
from podrole.diagnosis.installation.guard_drift import EXPECTED, NAMESPACE, digest_fields
from podrole.diagnosis.pods.pod import diagnose_pod
from testing.repository import ROOT
from tests.unit.podrole.diagnosis.states import (
    NOW,
    SAFE,
    build_cluster_state,
    build_pod_state,
    build_policy,
    build_policy_binding,
    build_running_pod,
    diagnose_with,
    list_concerns,
    list_concerns_with,
    list_findings,
    read_policies,
)

EXCLUDED = ["podrole-system", "kube-system", "kube-public", "kube-node-lease"]


def list_codes_of_check(**changes: Any) -> list[str]:
    sections = diagnose_pod(build_running_pod(), build_pod_state(**changes), {})
    return [finding.code for section in sections if section.title == "Guard" for finding in section.findings]


def change(path: str, value: Any, name: str = "podrole-pods") -> dict[str, Any]:
    """A policy with another value of a field of its spec."""
    policy = build_policy(name)
    *parents, last = path.split(".")
    parent = policy["spec"]
    for key in parents:
        parent = parent[int(key)] if isinstance(parent, list) else parent[key]
    parent[int(last) if isinstance(parent, list) else last] = value
    return policy


def replace_one(changed: dict[str, Any]) -> list[dict[str, Any]]:
    """All policies of the base, with one changed."""
    return [changed if name == changed["metadata"]["name"] else build_policy(name) for name in POLICIES]


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        pytest.param("failurePolicy", "Ignore", "failurePolicy", id="failure-policy"),
        pytest.param("paramKind", {"apiVersion": "v1", "kind": "ConfigMap"}, "paramKind", id="parameters"),
        pytest.param("matchConditions", [{"name": "none", "expression": "false"}], "matchConditions", id="condition"),
        pytest.param("validations.0.expression", "true", "validations", id="expression"),
        pytest.param("validations", [], "validations", id="no-expressions"),
        pytest.param("variables.12.expression", "true", "variables", id="variable"),
        pytest.param("matchConstraints.resourceRules.0.operations", ["UPDATE"], "resourceRules", id="operations"),
        pytest.param("matchConstraints.resourceRules.0.resourceNames", ["web"], "resourceRules", id="names"),
        pytest.param("matchConstraints.excludeResourceRules", [{}], "excludeResourceRules", id="excluded"),
        pytest.param(
            "matchConstraints.namespaceSelector.matchLabels", {"a": "b"}, "namespaceSelector", id="namespaces"
        ),
        pytest.param("matchConstraints.namespaceSelector", {}, "namespaceSelector", id="all-namespaces"),
        pytest.param("matchConstraints.objectSelector.matchLabels", {"a": "b"}, "objectSelector", id="objects"),
    ],
)
def test_changed_policy_is_the_only_concern_and_its_field_is_named(path: str, value: object, field: str) -> None:
    findings = diagnose_with(policies=replace_one(change(path, value)))

    assert list_concerns(findings) == ["PolicyChanged"]
    [text] = [finding.text for finding in findings if finding.code == "PolicyChanged"]
    assert "policy podrole-pods " in text
    assert f"{field}: " in text


def test_condition_with_another_account_than_the_injectors_is_a_change() -> None:
    expression = "request.userInfo.username == 'system:serviceaccount:other:podrole-injector'"
    policy = change("matchConditions.0.expression", expression, "podrole-injector")

    assert list_concerns_with(policies=replace_one(policy)) == ["PolicyChanged"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("validations.0.message", "[A] Another message.", id="message"),
        pytest.param("matchConstraints.namespaceSelector.matchExpressions.1.values", [*EXCLUDED, "ci"], id="namespace"),
        pytest.param("matchConstraints.matchPolicy", "Equivalent", id="default-of-the-api-server"),
        pytest.param("failurePolicy", None, id="default-that-is-not-set"),
    ],
)
def test_what_an_overlay_may_change_is_no_concern(path: str, value: object) -> None:
    assert list_concerns_with(policies=replace_one(change(path, value))) == []


def test_setting_that_only_the_guard_has_is_the_only_concern() -> None:
    policy = build_policy("podrole-pods", {**SAFE, "PODROLE_ALLOW_OVERRIDES": "inject"})

    assert list_concerns_with(policies=replace_one(policy)) == ["PolicySettingDiffers"]


def test_image_of_another_version_in_the_guard_is_no_concern() -> None:
    policy = build_policy("podrole-pods", {**SAFE, "PODROLE_SIDECAR_IMAGE": "example/podrole-sidecar:1"})

    assert list_concerns_with(policies=replace_one(policy)) == []


def test_policy_that_was_deleted_is_missing_although_its_binding_exists() -> None:
    assert list_concerns_with(policies=[build_policy(name) for name in POLICIES[1:]]) == ["GuardMissing"]


@pytest.mark.parametrize(
    "resources",
    [
        pytest.param({"namespaceSelector": {"matchLabels": {"a": "b"}}}, id="namespaces"),
        pytest.param({"objectSelector": {"matchLabels": {"a": "b"}}}, id="objects"),
        pytest.param({"resourceRules": [{"resourceNames": ["web"]}]}, id="rules"),
        pytest.param({"excludeResourceRules": [{"resourceNames": ["web"]}]}, id="excluded"),
    ],
)
def test_binding_for_some_requests_is_the_only_concern(resources: dict[str, Any]) -> None:
    narrowed = build_policy_binding("podrole-pods")
    narrowed["spec"]["matchResources"] = resources
    others = [build_policy_binding(policy) for policy in POLICIES[1:]]

    assert list_concerns_with(policy_bindings=[narrowed, *others]) == ["BindingNarrowed"]
    assert list_concerns_with(policy_bindings=[narrowed, build_policy_binding("podrole-pods"), *others]) == []


def test_policies_of_a_component_are_checked_where_they_exist() -> None:
    policies = [build_policy(name) for name in (*POLICIES, "podrole-exec")]
    bindings = [build_policy_binding(name) for name in (*POLICIES, "podrole-exec")]

    assert list_concerns_with(policies=policies, policy_bindings=bindings) == []
    assert list_concerns_with(policies=policies) == ["GuardMissing"]


def test_expected_digests_are_those_of_the_manifests() -> None:
    found = {name: digest_fields(policy["spec"], NAMESPACE) for name, policy in read_policies().items()}

    assert found == EXPECTED


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
    assert list_concerns_with(policy_bindings=bindings) == ["GuardMissing"]


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
    assert list_concerns_with() == []


def test_api_server_without_policies_is_noted() -> None:
    findings = list_findings(
        diagnose_cluster(build_cluster_state(version={"gitVersion": "v1.29.4"}, policy_bindings=[]), {}, NOW)
    )

    codes = [finding.code for finding in findings]
    assert "GuardNotSupported" in codes
    assert "GuardMissing" not in codes


def test_cluster_without_podrole_needs_no_guard() -> None:
    assert "GuardMissing" not in list_concerns_with(webhooks=[], deployment=None, policy_bindings=[])


def test_bindings_that_cannot_be_read_are_unknown() -> None:
    assert "ReadFailed" in list_concerns_with(errors={"policy_bindings": "forbidden"})
