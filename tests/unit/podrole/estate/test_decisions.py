"""Decisions about workloads of an estate."""

from typing import Any

import pytest

from injector.decision.outcomes import Deny, Inject, Skip
from podrole.estate.decisions import WorkloadDecision, decide_workload
from podrole.estate.objects import Estate
from testing.cases import CONFIG

ROLE = "arn:aws:iam::111122223333:role/reader"
NAMESPACE = {"kind": "Namespace", "metadata": {"name": "team-a", "labels": {"podrole.io/injection": "enabled"}}}
ACCOUNT = {"kind": "ServiceAccount", "metadata": {"name": "web", "namespace": "team-a"}}
TEMPLATE = {
    "metadata": {"annotations": {"iam.amazonaws.com/role": ROLE}},
    "spec": {"serviceAccountName": "web", "containers": [{"name": "app"}]},
}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "team-a"},
    "spec": {"template": TEMPLATE},
}


def decide(*objects: dict[str, Any], is_complete: bool = True, is_labelled: bool = False) -> WorkloadDecision:
    estate = Estate(is_complete=is_complete)
    for one in objects:
        estate.add(one)
    return decide_workload(estate.workloads[0], estate, CONFIG, is_labelled=is_labelled)


def test_workload_of_a_labelled_namespace_is_injected_with_its_role() -> None:
    found = decide(NAMESPACE, ACCOUNT, DEPLOYMENT)

    assert isinstance(found.decision, Inject)
    assert found.decision.role_arn == ROLE
    assert found.workload.obj == DEPLOYMENT


@pytest.mark.parametrize(
    ("is_labelled", "outcome"),
    [pytest.param(False, Skip, id="as it is"), pytest.param(True, Inject, id="as if it had the label")],
)
def test_workload_of_an_unlabelled_namespace_is_decided(*, is_labelled: bool, outcome: type) -> None:
    unlabelled = {"kind": "Namespace", "metadata": {"name": "team-a"}}

    found = decide(unlabelled, ACCOUNT, DEPLOYMENT, is_labelled=is_labelled)

    assert isinstance(found.decision, outcome)


@pytest.mark.parametrize(
    ("is_complete", "outcome"),
    [pytest.param(True, Deny, id="in a cluster: denied"), pytest.param(False, Inject, id="in manifests: injected")],
)
def test_workload_whose_service_account_is_missing_is_decided(*, is_complete: bool, outcome: type) -> None:
    found = decide(NAMESPACE, DEPLOYMENT, is_complete=is_complete)

    assert isinstance(found.decision, outcome)
