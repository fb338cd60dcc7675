"""The checks of other webhooks and node agents."""

from typing import Any

import pytest

from tests.unit.podrole.diagnosis.states import (
    build_configuration,
    build_webhook,
    diagnose_with,
    find_texts,
    list_concerns_with,
)

PODROLE = build_configuration(build_webhook())
PODROLE_NEVER = build_configuration(build_webhook(reinvocationPolicy="Never"))
LATER = build_configuration(build_webhook("z"), name="z")
IRSA = build_configuration(build_webhook("iam-for-pods.amazonaws.com"), name="pod-identity-webhook")
IRSA_ACCOUNT = {
    "metadata": {"namespace": "team-a", "name": "s3", "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:x"}}
}


def build_daemon_set(name: str, image: str = "x:1") -> dict[str, Any]:
    spec = {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}
    return {"metadata": {"namespace": "kube-system", "name": name}, "spec": spec}


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        pytest.param(
            {"webhooks": [PODROLE, IRSA], "service_accounts": [IRSA_ACCOUNT]},
            ["IrsaServiceAccounts"],
            id="irsa-webhook-and-annotated-account",
        ),
        pytest.param({"service_accounts": [IRSA_ACCOUNT]}, [], id="annotated-account-without-irsa-webhook"),
        pytest.param({"webhooks": [PODROLE_NEVER, LATER]}, ["ReinvocationNever"], id="later-webhook-never-reinvoked"),
        pytest.param({"webhooks": [PODROLE_NEVER]}, [], id="never-reinvoked-but-alone"),
        pytest.param(
            {"daemon_sets": [build_daemon_set("kube2iam"), build_daemon_set("x", "quay.io/uswitch/kiam:v4")]},
            [],
            id="kube2iam-and-kiam",
        ),
    ],
)
def test_conflicting_injector_is_the_only_concern(changes: dict[str, Any], codes: list[str]) -> None:
    assert list_concerns_with(**changes) == codes


def test_webhooks_are_listed_in_the_order_of_the_api_server() -> None:
    istio = build_configuration(
        build_webhook("rev.namespace.sidecar-injector.istio.io", reinvocationPolicy=None), name="istio-sidecar-injector"
    )
    other = build_configuration(
        build_webhook(
            "a.example.com",
            rules=[{"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"], "operations": ["*"]}],
        ),
        build_webhook(
            "deployments.example.com",
            rules=[{"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["*"], "operations": ["*"]}],
        ),
        name="zz",
    )

    findings = diagnose_with(webhooks=[other, PODROLE, istio])

    assert [text for finding in findings if (text := finding.text)[1:2] == "."] == [
        (
            "1. rev.namespace.sidecar-injector.istio.io (istio-sidecar-injector; failurePolicy Fail, "
            "reinvocationPolicy Never): Istio; its rules apply after podrole's in the pod, and its proxy receives no "
            "metadata requests."
        ),
        "2. pods.podrole.io (podrole-injector; failurePolicy Fail, reinvocationPolicy IfNeeded): podrole.",
        "3. a.example.com (zz; failurePolicy Fail, reinvocationPolicy IfNeeded): unknown to podrole.",
    ]


def test_node_agents_are_recognised_by_name_or_image() -> None:
    agents = [build_daemon_set("eks-pod-identity-agent"), build_daemon_set("iam", "jtblin/kube2iam:0.11")]

    texts = find_texts(diagnose_with(daemon_sets=agents), "NodeAgent")

    assert texts[0].startswith("DaemonSet kube-system/eks-pod-identity-agent is the EKS Pod Identity agent. Its assoc")
    assert texts[1].startswith("DaemonSet kube-system/iam is kube2iam.")
