"""Pods are created while the webhook configuration is missing: the outcome table says which ones the guard refuses."""

from typing import Any

import pytest

from injector.decision.outcomes import Outcome
from testing.cases import PODS, load_case
from testing.cluster.api import ApiServer, RefusedError
from testing.cluster.pods import build_pod
from tests.integration.api_server.guard.policies import SETTINGS_LABEL, load_policies, read_rows
from tests.integration.api_server.guard.surroundings import MakeNamespace, make_surroundings
from tests.integration.api_server.test_shapes import REFUSED_BY_THE_SERVER

IN_ROWS = {row["pod"] for row in read_rows() if not row.get("config")}
FIXTURES = [
    {"id": path.stem, "pod": path.stem, "outcome": load_case(path.stem).decide().outcome}
    for path in sorted(PODS.glob("*.yaml"))
    if path.stem not in IN_ROWS | REFUSED_BY_THE_SERVER.keys()
]
ROWS = [
    row for row in [*read_rows(), *FIXTURES] if "version" not in row and load_case(row["pod"]).namespace is not None
]
REFUSAL = r"podrole-pods.* denied request: \[\w+\] |Not found: \"podrole-"
"""By the guard; or by the API server, as only the webhook removes mounts of reserved volumes that do not exist."""

UNCHANGED = [pytest.param(row, id=row["id"]) for row in ROWS if row["outcome"] == Outcome.SKIP]
REFUSED = [pytest.param(row, id=row["id"]) for row in ROWS if row["outcome"] != Outcome.SKIP]


@pytest.mark.parametrize("row", REFUSED)
def test_pod_that_the_webhook_would_change_or_deny_is_refused(
    guarded: ApiServer, make_namespace: MakeNamespace, row: dict[str, Any]
) -> None:
    pod = make_surroundings(guarded, make_namespace, load_case(row["pod"]), row.get("config", {}))

    for dry_run in (True, False):
        with pytest.raises(RefusedError, match=REFUSAL):
            guarded.create(pod, pod["metadata"]["namespace"], dry_run=dry_run)


@pytest.mark.parametrize("row", UNCHANGED)
def test_pod_that_the_webhook_would_not_change_is_created(
    guarded: ApiServer, make_namespace: MakeNamespace, row: dict[str, Any]
) -> None:
    pod = make_surroundings(guarded, make_namespace, load_case(row["pod"]), row.get("config", {}))

    created = guarded.create(pod, pod["metadata"]["namespace"]).object

    assert created["metadata"]["name"] == pod["metadata"]["name"]


def test_pod_in_a_labelled_system_namespace_is_created(guarded: ApiServer) -> None:
    labels = {"podrole.io/injection": "enabled", SETTINGS_LABEL: "default"}
    guarded.patch(("Namespace", "kube-public"), {"metadata": {"labels": labels}})
    guarded.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}, "kube-public")
    try:
        assert guarded.create(build_pod(), "kube-public", dry_run=True).object["spec"]["containers"]
    finally:
        guarded.patch(("Namespace", "kube-public"), {"metadata": {"labels": dict.fromkeys(labels)}})


def test_every_policy_is_installed_with_an_action_that_denies() -> None:
    manifests = load_policies()
    policies = [each for each in manifests if each["kind"] == "ValidatingAdmissionPolicy"]
    bindings = [each for each in manifests if each["kind"] == "ValidatingAdmissionPolicyBinding"]

    assert {each["spec"]["policyName"] for each in bindings} == {each["metadata"]["name"] for each in policies}
    assert {each["spec"]["failurePolicy"] for each in policies} == {"Fail"}
    assert [each["spec"]["validationActions"] for each in bindings] == [["Deny"]] * len(bindings)
