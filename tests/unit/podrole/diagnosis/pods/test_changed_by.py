"""Who changed podrole's containers, by a dry run of the pod's creation and the webhooks that are called for it."""

from typing import Any

import pytest

from podrole.diagnosis.state.cluster import DryRunResult
from testing.cases import Pod, find_container
from tests.unit.podrole.diagnosis.states import (
    SAFE,
    SERVING,
    build_configuration,
    build_deployment,
    build_pod_state,
    build_running_pod,
    build_webhook,
    diagnose_running_pod,
    find_texts,
)

DEPLOYMENT = build_deployment({**SAFE, "PODROLE_SIDECAR_IMAGE": "example/podrole-sidecar:1"})
OTHER_NAMESPACE = {"matchLabels": {"kubernetes.io/metadata.name": "team-b"}}
OTHER_PODS = {"matchLabels": {"app": "other"}}


def build_changed_pod() -> Pod:
    pod = build_running_pod()
    find_container(pod, "podrole-sidecar")["securityContext"]["runAsUser"] = 0
    return pod


def diagnose(
    pod: Pod, dry_run: DryRunResult, *others: dict[str, Any], policy: str = "IfNeeded"
) -> list[tuple[str, str]]:
    """Code and text of the findings about who changed the pod."""
    own = build_configuration(build_webhook(reinvocationPolicy=policy), name="mm-podrole")
    state = build_pod_state(deployment=DEPLOYMENT, webhooks=[own, *others], dry_run=dry_run, sidecar_status=SERVING)
    codes = ("Changed", "Older", "DryRun")
    return [(one.code, one.text) for one in diagnose_running_pod(pod, state) if one.code.startswith(codes)]


def build_other(name: str, **changes: Any) -> dict[str, Any]:
    fields = {"namespaceSelector": {}, "reinvocationPolicy": "IfNeeded", **changes}
    return build_configuration(build_webhook(f"{name}.example.com", **fields), name=name)


CHANGED = DryRunResult("team-a", build_changed_pod())
UNCHANGED = DryRunResult("team-a", build_running_pod())
LAST = build_other("zz")


@pytest.mark.parametrize(
    ("others", "policy", "named"),
    [
        pytest.param([LAST], "IfNeeded", ["zz"], id="last-and-called-again"),
        pytest.param([build_other("aa"), LAST], "IfNeeded", ["zz"], id="first-one-is-reverted"),
        pytest.param([build_other("zy", reinvocationPolicy="Never"), LAST], "IfNeeded", ["zz"], id="once-is-reverted"),
        pytest.param([build_other("zy", namespaceSelector=OTHER_NAMESPACE), LAST], "IfNeeded", ["zz"], id="namespace"),
        pytest.param([build_other("zy", objectSelector=OTHER_PODS), LAST], "IfNeeded", ["zz"], id="object-selector"),
        pytest.param([build_other("zy"), LAST], "IfNeeded", ["zy", "zz"], id="two"),
        pytest.param(
            [build_other("zz", reinvocationPolicy="Never")], "Never", ["zz"], id="podrole-is-not-called-again"
        ),
        pytest.param([build_other("aa")], "Never", ["aa"], id="earlier-one-is-called-again"),
        pytest.param([build_other("aa")], "IfNeeded", ["aa"], id="none-can-be-last"),
    ],
)
def test_webhooks_that_can_have_the_last_word_are_named(
    others: list[dict[str, Any]], policy: str, named: list[str]
) -> None:
    ((code, text),) = diagnose(build_changed_pod(), CHANGED, *others, policy=policy)

    assert code == ("ChangedByWebhook" if len(named) == 1 else "ChangedByOneOf")
    assert [name for name in ("aa", "zy", "zz") if f"{name}.example.com ({name})" in text] == named
    assert "securityContext.runAsUser is 0 and would be 16925" in text


def test_difference_without_another_webhook_points_to_the_settings() -> None:
    assert [code for code, _ in diagnose(build_changed_pod(), CHANGED)] == ["ChangedByNoWebhook"]


def test_pod_that_is_older_than_the_settings_is_no_webhooks_fault() -> None:
    assert [code for code, _ in diagnose(build_changed_pod(), UNCHANGED, LAST)] == ["OlderThanSettings"]


def test_change_after_the_creation_names_its_field_manager() -> None:
    pod = build_changed_pod()
    fields: dict[str, Any] = {"f:spec": {"f:initContainers": {'k:{"name":"podrole-sidecar"}': {"f:image": {}}}}}
    pod["metadata"]["managedFields"] = [
        {"manager": "controller", "time": pod["metadata"]["creationTimestamp"], "fieldsV1": fields},
        {"manager": "keel", "time": "2026-09-03T10:00:00Z", "fieldsV1": fields},
        {"manager": "kubelet", "time": "2026-09-03T10:00:00Z", "subresource": "status", "fieldsV1": fields},
    ]

    ((code, text),) = diagnose(pod, UNCHANGED, LAST)

    assert code == "ChangedLater"
    assert "keel changed podrole-sidecar (field manager, at 2026-09-03T10:00:00Z)" in text


def test_dry_run_that_is_rejected_leaves_it_open() -> None:
    ((code, text),) = diagnose(build_changed_pod(), DryRunResult("team-a", None, "forbidden"), LAST)

    assert (code, text.endswith("forbidden")) == ("DryRunNotPossible", True)


def test_pod_without_a_dry_run_is_not_explained() -> None:
    findings = diagnose_running_pod(build_changed_pod())

    assert len(find_texts(findings, "Drifted")) == 1
    assert not any(one.code.startswith("Changed") for one in findings)
