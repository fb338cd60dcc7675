"""Whether a pod was injected, and which selector, creation time or rule prevented it."""

import json
from typing import Any

import pytest

from tests.unit.podrole.diagnosis.states import (
    READER,
    annotate,
    build_configuration,
    build_namespace,
    build_plain_pod,
    build_pod_state,
    build_running_pod,
    build_webhook,
    diagnose_running_pod,
    find_texts,
    list_concerns,
)


@pytest.mark.parametrize(
    "status",
    [
        *("", "null", "[]", '"x"', "{", '{"reason": ["x"]}', '{"reason": "InvalidRole", "version": 3}'),
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_invalid_status_annotation_is_ignored(status: str) -> None:
    findings = diagnose_running_pod(annotate(build_running_pod(), "podrole.io/status", status))

    assert find_texts(findings, "Injected") == [f"The pod was injected in redirect mode with the role {READER}."]


def test_pod_with_status_annotation_but_no_containers_is_not_injected() -> None:
    findings = diagnose_running_pod(annotate(build_plain_pod(), "podrole.io/status", '{"mode":"redirect"}'))

    assert {"StatusWithoutContainers", "NotInjected"} <= {*list_concerns(findings)}


def test_missing_namespace_label_is_reported_with_the_command_that_adds_it() -> None:
    findings = diagnose_running_pod(build_plain_pod(), build_pod_state(namespace=build_namespace(team="a")))

    (finding,) = [finding for finding in findings if finding.code == "NamespaceNotLabelled"]
    assert finding.remedy.splitlines() == [
        "kubectl label namespace team-a podrole.io/injection=enabled --overwrite",
        "kubectl -n team-a delete pod web   # then create it again",
    ]
    assert any(f"the webhook would inject the role {READER}" in text for text in find_texts(findings, "WithLabel"))


def test_misspelt_label_is_reported() -> None:
    namespace = build_namespace(**{"podrole.io/inject": "true"})

    findings = diagnose_running_pod(build_plain_pod(), build_pod_state(namespace=namespace))

    (text,) = find_texts(findings, "NamespaceNotLabelled")
    assert text.endswith('the label podrole.io/injection: "enabled", but the label podrole.io/inject: "true".')


def test_label_with_another_value_is_reported_with_the_value() -> None:
    namespace = build_namespace(**{"podrole.io/injection": "true"})

    findings = diagnose_running_pod(build_plain_pod(), build_pod_state(namespace=namespace))

    assert find_texts(findings, "NamespaceNotLabelled") == [
        'Namespace team-a does not have the label podrole.io/injection: "enabled", but "true".'
    ]


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        pytest.param(
            {"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["b", "c"]}]}},
            "NamespaceExcluded",
            "its labels do not match `team In (b, c)`",
            id="namespace-selector",
        ),
        pytest.param(
            {"objectSelector": {"matchLabels": {"podrole.io/wanted": "yes"}}},
            "PodExcluded",
            "its labels do not match `podrole.io/wanted In (yes)`",
            id="object-selector",
        ),
        pytest.param({"rules": []}, "PodCreationNotCovered", "do not cover the creation of pods", id="no-rules"),
        pytest.param(
            {"rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/exec"], "operations": ["*"]}]},
            "PodCreationNotCovered",
            "podrole-injector",
            id="rules-for-exec-only",
        ),
    ],
)
def test_selector_or_rule_that_excludes_the_pod_is_reported(changes: dict[str, Any], code: str, text: str) -> None:
    webhook = build_webhook(**changes)

    findings = diagnose_running_pod(build_plain_pod(), build_pod_state(webhooks=[build_configuration(webhook)]))

    assert [text in found for found in find_texts(findings, code)] == [True]
    assert find_texts(findings, "CreatedBeforeLabel") == []


def test_unregistered_webhook_is_a_problem() -> None:
    findings = diagnose_running_pod(build_plain_pod(), build_pod_state(webhooks=[]))

    assert "WebhookNotRegistered" in list_concerns(findings)


def test_unreadable_webhooks_leave_the_reason_unknown() -> None:
    findings = diagnose_running_pod(build_plain_pod(), build_pod_state({"webhooks": "forbidden (403)"}))

    assert find_texts(findings, "WebhooksReadFailed") == [
        "Cannot determine whether a selector of the webhook prevented injection: forbidden (403)."
    ]
    assert find_texts(findings, "CreatedBeforeLabel") == []


def test_unreadable_namespace_leaves_the_reason_unknown() -> None:
    findings = diagnose_running_pod(build_plain_pod(), build_pod_state({"namespace": "forbidden (403)"}))

    assert find_texts(findings, "NamespaceReadFailed") == [
        "Cannot determine whether the namespace prevented injection: forbidden (403)."
    ]
    assert list_concerns(findings) == ["NotInjected", "NamespaceReadFailed", "ContextReadFailed"]


def test_pod_created_before_the_webhook_is_reported() -> None:
    pod = build_plain_pod()
    pod["metadata"]["creationTimestamp"] = "2026-08-31T23:59:59Z"

    findings = diagnose_running_pod(pod)

    assert find_texts(findings, "CreatedBeforeWebhook") == [
        (
            "The pod was created at 2026-08-31T23:59:59Z, before the webhook configuration podrole-injector "
            "(2026-09-01T10:00:00Z)."
        ),
    ]


def test_pod_without_any_other_reason_was_created_before_the_label() -> None:
    findings = diagnose_running_pod(build_plain_pod())

    (text,) = find_texts(findings, "CreatedBeforeLabel")
    assert text.endswith("before the namespace was labelled.")


@pytest.mark.parametrize(
    ("role", "has_remedy"), [("reader", True), ("a b", False)], ids=["would-be-injected", "would-be-denied"]
)
def test_restart_is_proposed_only_if_the_webhook_does_not_deny_the_new_pod(role: str, *, has_remedy: bool) -> None:
    findings = diagnose_running_pod(annotate(build_plain_pod(), "iam.amazonaws.com/role", role))

    (found,) = [one for one in findings if one.code == "CreatedBeforeLabel"]
    assert bool(found.remedy) is has_remedy


def test_failure_policy_ignore_is_named_as_another_possible_reason() -> None:
    webhook = build_webhook(failurePolicy="Ignore")

    findings = diagnose_running_pod(build_plain_pod(), build_pod_state(webhooks=[build_configuration(webhook)]))

    (text,) = find_texts(findings, "CreatedBeforeLabel")
    assert "failurePolicy is Ignore" in text


def test_match_condition_is_shown() -> None:
    condition = {"name": "no-jobs", "expression": "!has(object.metadata.ownerReferences)"}
    webhook = build_webhook(matchConditions=[condition])

    findings = diagnose_running_pod(build_plain_pod(), build_pod_state(webhooks=[build_configuration(webhook)]))

    assert "no-jobs" in find_texts(findings, "MatchCondition")[0]
    assert condition["expression"] in find_texts(findings, "MatchCondition")[0]


def test_match_condition_of_podrole_itself_is_not_shown() -> None:
    condition = {
        "name": "no-mirror-pod",
        "expression": "!('kubernetes.io/config.mirror' in object.metadata.annotations)",
    }
    webhook = build_webhook(matchConditions=[condition])

    findings = diagnose_running_pod(build_plain_pod(), build_pod_state(webhooks=[build_configuration(webhook)]))

    assert find_texts(findings, "MatchCondition") == []


def test_mirror_pod_has_no_concern() -> None:
    findings = diagnose_running_pod(annotate(build_plain_pod(), "kubernetes.io/config.mirror", "x"))

    assert list_concerns(findings) == []
    assert find_texts(findings, "MirrorPod")


def test_host_network_is_reported_as_the_reason() -> None:
    pod = build_plain_pod(hostNetwork=True)
    del pod["metadata"]["annotations"]

    findings = diagnose_running_pod(pod)

    assert "spec.hostNetwork" in find_texts(findings, "UnsupportedPod")[0]
    assert "spec.hostNetwork" in find_texts(findings, "WouldSkip")[0]


def test_other_version_of_podrole_is_reported() -> None:
    status = json.dumps({"version": "9.9.9", "reason": "RoleFromPod"})

    findings = diagnose_running_pod(annotate(build_running_pod(), "podrole.io/status", status))

    assert find_texts(findings, "VersionDiffers")[0].startswith("The pod was injected by podrole 9.9.9")
