"""What is said about a pod: why it was not injected, what it would get now, how that differs."""

import json
from typing import Any

import pytest

from podrole.diagnosis.pod import diagnose_pod
from podrole.diagnosis.snapshot import Snapshot
from podrole.findings import Finding
from tests.unit.injector.cases import Pod, add_api_defaults, build_case, find_container
from tests.unit.podrole.diagnosis.snapshots import (
    SAFE,
    build_configuration,
    build_deployment,
    build_namespace,
    build_plain_pod,
    build_running_pod,
    build_snapshot,
    build_webhook,
    find_texts,
    list_concerns,
    list_findings,
)

READER = "arn:aws:iam::111122223333:role/reader"
SERVING = {"stdout": json.dumps({"role": READER, "state": "serving", "seconds_left": 3000, "failures": 0})}


def diagnose(pod: Pod, snapshot: Snapshot | None = None, environ: dict[str, str] | None = None) -> list[Finding]:
    default = build_snapshot(
        status=[SERVING], deployment=[build_deployment(SAFE | {"PODROLE_SIDECAR_IMAGE": "example/podrole-sidecar:1"})]
    )
    return list_findings(diagnose_pod(pod, snapshot or default, environ or {}))


def annotate(pod: Pod, key: str, value: str) -> Pod:
    pod["metadata"]["annotations"][key] = value
    return pod


@pytest.mark.parametrize(
    "status", ["", "null", "[]", '"x"', "{", '{"reason": ["x"]}', '{"reason": "InvalidRole", "version": 3}']
)
def test_status_annotation_that_somebody_damaged_does_not_end_the_diagnosis(status: str) -> None:
    findings = diagnose(annotate(build_running_pod(), "podrole.io/status", status))

    assert find_texts(findings, "Injected") == [f"It was injected in redirect mode, with the role {READER}."]


def test_pod_that_is_as_it_would_be_now_has_no_finding_of_concern() -> None:
    findings = diagnose(build_running_pod())

    assert list_concerns(findings) == []
    assert find_texts(findings, "Same") == ["It has just that."]
    assert find_texts(findings, "Serving") == [f"It serves credentials of {READER}: 50 min left."]


def test_status_annotation_without_containers_counts_as_not_injected() -> None:
    findings = diagnose(annotate(build_plain_pod(), "podrole.io/status", '{"mode":"redirect"}'))

    assert {"ForgedStatus", "NotInjected"} <= {*list_concerns(findings)}


def test_namespace_without_the_label_is_told_with_the_command_that_adds_it() -> None:
    findings = diagnose(build_plain_pod(), build_snapshot(namespace=[build_namespace(team="a")]))

    (told,) = [finding for finding in findings if finding.code == "NotLabelled"]
    assert told.remedy.splitlines() == [
        "kubectl label namespace team-a podrole.io/injection=enabled --overwrite",
        "kubectl -n team-a delete pod web   # then create it again",
    ]
    assert any(f"the webhook would give it the role {READER}" in text for text in find_texts(findings, "WithLabel"))


def test_label_with_another_value_is_named() -> None:
    namespace = build_namespace(**{"podrole.io/injection": "true"})

    findings = diagnose(build_plain_pod(), build_snapshot(namespace=[namespace]))

    assert find_texts(findings, "NotLabelled") == [
        'Namespace team-a lacks the label podrole.io/injection: "enabled" and has "true" instead.'
    ]


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        (
            {"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["b", "c"]}]}},
            "NamespaceExcluded",
            "its labels do not meet `team In (b, c)`",
        ),
        (
            {"objectSelector": {"matchLabels": {"podrole.io/wanted": "yes"}}},
            "PodExcluded",
            "its labels do not meet `podrole.io/wanted In (yes)`",
        ),
        ({"rules": []}, "NotAskedAboutPods", "do not cover the creation of pods"),
        (
            {"rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/exec"], "operations": ["*"]}]},
            "NotAskedAboutPods",
            "podrole-injector",
        ),
    ],
)
def test_selector_or_rule_that_keeps_the_webhook_away_is_named(changes: dict[str, Any], code: str, text: str) -> None:
    webhook = build_webhook(**changes)

    findings = diagnose(build_plain_pod(), build_snapshot(webhooks=[build_configuration(webhook)]))

    assert [text in told for told in find_texts(findings, code)] == [True]
    assert find_texts(findings, "LabelledLater") == []


def test_absent_webhook_is_a_problem() -> None:
    findings = diagnose(build_plain_pod(), build_snapshot(webhooks=[]))

    assert "NoWebhook" in list_concerns(findings)


def test_webhooks_that_may_not_be_read_leave_the_reason_unknown() -> None:
    findings = diagnose(build_plain_pod(), build_snapshot(unread={"webhooks": "forbidden (403)"}))

    assert find_texts(findings, "WebhooksUnread") == [
        "Whether a selector of the webhook stopped it is not known: forbidden (403)."
    ]
    assert find_texts(findings, "LabelledLater") == []


def test_namespace_that_may_not_be_read_is_not_said_to_lack_the_label() -> None:
    findings = diagnose(build_plain_pod(), build_snapshot(unread={"namespace": "forbidden (403)"}))

    assert find_texts(findings, "NamespaceUnread") == [
        "Whether its namespace stopped it is not known: forbidden (403)."
    ]
    assert list_concerns(findings) == ["NotInjected", "NamespaceUnread", "SurroundingsUnread"]


def test_pod_older_than_the_webhook_is_told_so() -> None:
    pod = build_plain_pod()
    pod["metadata"]["creationTimestamp"] = "2026-08-31T23:59:59Z"

    findings = diagnose(pod)

    assert find_texts(findings, "OlderThanWebhook") == [
        (
            "It was created at 2026-08-31T23:59:59Z, before the webhook configuration podrole-injector "
            "(2026-09-01T10:00:00Z)."
        ),
    ]


def test_pod_with_nothing_in_its_way_must_be_older_than_the_label() -> None:
    findings = diagnose(build_plain_pod())

    (told,) = find_texts(findings, "LabelledLater")
    assert told.endswith("so the namespace's label came later.")


def test_lenient_failure_policy_is_another_explanation() -> None:
    webhook = build_webhook(failurePolicy="Ignore")

    findings = diagnose(build_plain_pod(), build_snapshot(webhooks=[build_configuration(webhook)]))

    (told,) = find_texts(findings, "LabelledLater")
    assert "failurePolicy is Ignore" in told


def test_condition_that_only_the_api_server_evaluates_is_shown() -> None:
    condition = {"name": "no-jobs", "expression": "!has(object.metadata.ownerReferences)"}
    webhook = build_webhook(matchConditions=[condition])

    findings = diagnose(build_plain_pod(), build_snapshot(webhooks=[build_configuration(webhook)]))

    assert "no-jobs" in find_texts(findings, "Condition")[0]
    assert condition["expression"] in find_texts(findings, "Condition")[0]


def test_condition_of_podrole_s_own_is_not_worth_a_line() -> None:
    condition = {
        "name": "no-mirror-pod",
        "expression": "!('kubernetes.io/config.mirror' in object.metadata.annotations)",
    }
    webhook = build_webhook(matchConditions=[condition])

    findings = diagnose(build_plain_pod(), build_snapshot(webhooks=[build_configuration(webhook)]))

    assert find_texts(findings, "Condition") == []


def test_mirror_pod_is_no_concern() -> None:
    findings = diagnose(annotate(build_plain_pod(), "kubernetes.io/config.mirror", "x"))

    assert list_concerns(findings) == []
    assert find_texts(findings, "MirrorPod")


def test_host_network_is_named_as_the_reason() -> None:
    pod = build_plain_pod(hostNetwork=True)
    del pod["metadata"]["annotations"]

    findings = diagnose(pod)

    assert "spec.hostNetwork" in find_texts(findings, "NoNetwork")[0]
    assert "spec.hostNetwork" in find_texts(findings, "Leaves")[0]


def test_pod_that_would_be_denied_now_is_a_problem_with_its_code() -> None:
    findings = diagnose(annotate(build_running_pod(), "podrole.io/session-duration", "5"))

    (told,) = find_texts(findings, "Denies")
    assert "[InvalidValue]" in told
    assert "InjectedAllTheSame" in list_concerns(findings)


def test_role_that_changed_since_is_told_with_the_command_that_recreates_the_pod() -> None:
    findings = diagnose(annotate(build_running_pod(), "iam.amazonaws.com/role", "writer"))

    (told,) = [finding for finding in findings if finding.code == "RoleChanged"]
    assert told.text.startswith(
        f"It still has the role {READER}, and created anew it would have the role arn:aws:iam::111122223333:role/writer"
    )
    assert told.remedy == "kubectl -n team-a rollout restart deployment/web"
    assert find_texts(findings, "Drifted") == []


def test_mode_that_changed_since_is_told() -> None:
    namespace = build_namespace(
        **{"podrole.io/injection": "enabled", "pod-security.kubernetes.io/enforce": "restricted"}
    )

    findings = diagnose(build_running_pod(), build_snapshot(namespace=[namespace], status=[SERVING]))

    assert find_texts(findings, "ModeChanged") == ["It is in redirect mode, and created anew it would be in env mode."]


def test_key_of_a_user_that_shadows_the_role_is_a_concern() -> None:
    app = {"name": "app", "image": "a:1", "env": [{"name": "AWS_ACCESS_KEY_ID", "value": "AKIA"}]}

    findings = diagnose(build_running_pod(containers=[app]))

    assert list_concerns(findings) == ["WarnsOfTrouble"]


def test_pod_injected_by_hand_is_compared_with_what_it_would_be_with_the_label() -> None:
    snapshot = build_snapshot(
        namespace=[build_namespace(team="a")],
        status=[SERVING],
        deployment=[build_deployment(SAFE | {"PODROLE_SIDECAR_IMAGE": "example/podrole-sidecar:1"})],
    )

    findings = diagnose(build_running_pod(), snapshot)

    assert list_concerns(findings) == []
    assert find_texts(findings, "ByHand")
    assert find_texts(findings, "Same")


@pytest.mark.parametrize("name", ["namespace", "service-account", "version"])
def test_surroundings_that_may_not_be_read_are_not_guessed(name: str) -> None:
    findings = diagnose(build_running_pod(), build_snapshot(unread={name: f"you may not read the {name}"}))

    assert find_texts(findings, "SurroundingsUnread") == [
        f"What the webhook would make of it now cannot be said: you may not read the {name}."
    ]
    assert find_texts(findings, "GivesRole") == []


def test_configuration_that_is_nowhere_is_asked_for() -> None:
    findings = diagnose(build_running_pod(), build_snapshot(deployment=[]))

    (told,) = find_texts(findings, "SettingsUnknown")
    assert "there is no Deployment podrole-system/podrole-injector" in told
    assert "PODROLE_SIDECAR_IMAGE is not set" in told


def test_variables_of_the_caller_win_over_the_live_configuration() -> None:
    findings = diagnose(build_running_pod(), environ={"PODROLE_ACCOUNT_ID": "999999999999", "PATH": "/bin"})

    assert "arn:aws:iam::999999999999:role/reader" in find_texts(findings, "RoleChanged")[0]


def test_other_version_of_podrole_is_told() -> None:
    status = json.dumps({"version": "9.9.9", "reason": "RoleFromPod"})

    findings = diagnose(annotate(build_running_pod(), "podrole.io/status", status))

    assert find_texts(findings, "OtherVersion")[0].startswith("It was injected by podrole 9.9.9")


@pytest.mark.parametrize(
    ("owner", "labels", "command"),
    [
        ({"kind": "DaemonSet", "name": "agent"}, {}, "rollout restart daemonset/agent"),
        ({"kind": "StatefulSet", "name": "db"}, {}, "rollout restart statefulset/db"),
        ({"kind": "ReplicaSet", "name": "bare"}, {}, "delete pod web-7d4b9-x2x1k   # its ReplicaSet bare"),
        ({"kind": "Job", "name": "once"}, {}, "delete pod web-7d4b9-x2x1k   # its Job once"),
    ],
)
def test_command_that_recreates_a_pod_fits_its_owner(
    owner: dict[str, str], labels: dict[str, str], command: str
) -> None:
    pod = annotate(build_running_pod(), "iam.amazonaws.com/role", "writer")
    pod["metadata"] |= {"ownerReferences": [{**owner, "controller": True}], "labels": labels}

    findings = diagnose(pod)

    (told,) = [finding for finding in findings if finding.code == "RoleChanged"]
    assert command in told.remedy


def test_pod_without_a_role_is_blocked_and_that_is_as_it_should_be() -> None:
    case = build_case()
    del case.pod["metadata"]["annotations"]
    pod = add_api_defaults(case.inject())

    findings = diagnose(pod)

    assert list_concerns(findings) == []
    assert find_texts(findings, "Blocked")
    assert find_texts(findings, "Blocks")[0].startswith(
        "The webhook would block it. No role is configured for this pod"
    )


def test_container_that_somebody_changed_is_told_with_what_it_would_be() -> None:
    pod = build_running_pod()
    find_container(pod, "podrole-redirect")["command"] = ["true"]

    findings = diagnose(pod)

    assert list_concerns(findings) == ["Drifted"]
    (told,) = find_texts(findings, "Drifted")
    assert told.startswith('It differs from what it would be now: container podrole-redirect: command is ["true"]')


def test_settings_that_cannot_be_looked_into_are_told() -> None:
    deployment = build_deployment({**SAFE, "PODROLE_TEMPLATE": "/etc/podrole/t.yaml"})
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    container["envFrom"] = [{"secretRef": {"name": "more"}}]

    findings = diagnose(build_running_pod(), build_snapshot(deployment=[deployment], status=[SERVING]))

    assert find_texts(findings, "Gaps")[0].endswith("settings from there: Secret more.")
    assert "/etc/podrole/t.yaml" in find_texts(findings, "TemplateUnread")[0]
