"""Why new pods are rejected: the API server's own messages, and whether podrole is the cause."""

from typing import Any

import pytest

from podrole.diagnosis.workloads.creation import NewPod, Rejection, explain_rejection
from podrole.findings import Finding, Level

OURS: tuple[dict[str, Any], ...] = (
    {"name": "podrole-redirect", "resources": {"requests": {"cpu": "10m"}, "limits": {"memory": "32Mi"}}},
    {
        "name": "podrole-sidecar",
        "restartPolicy": "Always",
        "resources": {"requests": {"cpu": "20m", "memory": "48Mi"}, "limits": {"memory": "96Mi"}},
    },
)
APP = {"name": "app", "resources": {"requests": {"cpu": "100m", "memory": "100Mi"}, "limits": {"memory": "100Mi"}}}
POD = {"spec": {"containers": [APP]}}


def explain(message: str, containers: tuple[dict[str, Any], ...] = OURS) -> Finding:
    (finding,) = explain_rejection(
        Rejection(message, "dry run now"), NewPod("team-a", "deployment/web", POD, containers)
    )
    return finding


DENIED = 'admission webhook "pods.podrole.io" denied the request: [RoleNotAllowed] No.'
SECURITY = 'pods "web-x" is forbidden: violates PodSecurity "baseline:latest": non-default capabilities '
QUOTA = 'pods "web-x" is forbidden: exceeded quota: q, requested: {}, used: {}, limited: {}'
SPECIFY = 'pods "web-x" is forbidden: failed quota: q: must specify limits.cpu for: {}'
RANGE = 'pods "web-x" is forbidden: {}'


@pytest.mark.parametrize(
    ("message", "code"),
    [
        pytest.param(f"Error creating: {DENIED}", "Denied", id="podrole"),
        pytest.param(f"create Pod web-0 in StatefulSet web failed error: {DENIED}", "Denied", id="stateful-set"),
        pytest.param(
            'Internal error occurred: failed calling webhook "pods.podrole.io": failed to call webhook: Post '
            '"https://podrole-injector.podrole-system.svc:443/mutate": connection refused',
            "WebhookUnreachable",
            id="webhook-is-down",
        ),
        pytest.param(
            "pods \"web\" is forbidden: ValidatingAdmissionPolicy 'podrole-pods' with binding 'podrole-pods' denied "
            "request: [SidecarMissing] The pod lacks podrole's containers",
            "GuardDenied",
            id="guard",
        ),
        pytest.param(
            'admission webhook "validate.kyverno.svc-fail" denied the request: no latest', "Policy", id="kyverno"
        ),
        pytest.param(
            'Internal error occurred: failed calling webhook "mutate.istio.io": timeout', "OtherWebhook", id="mesh-down"
        ),
        pytest.param(
            "pods \"web\" is forbidden: ValidatingAdmissionPolicy 'no-latest' with binding 'b' denied request: no",
            "Policy",
            id="other-policy",
        ),
        pytest.param(
            'admission webhook "validation.gatekeeper.sh" denied the request: [psp-capabilities] container '
            "<podrole-redirect> has a disallowed capability. Allowed capabilities are []",
            "PolicyBecauseOfPodrole",
            id="gatekeeper",
        ),
        pytest.param(
            'admission webhook "validate.kyverno.svc-fail" denied the request: resource Pod/team-a/podrole-redirector '
            "was blocked",
            "Policy",
            id="policy-about-a-similar-name",
        ),
        pytest.param(
            'pods "web-" is forbidden: error looking up service account a/b: serviceaccount "b" not found',
            "ServiceAccountMissing",
            id="service-account",
        ),
        pytest.param(
            'Pod "web" is invalid: spec.initContainers[1].name: Duplicate value: "podrole-sidecar"',
            "PodroleContainerInvalid",
            id="podrole-container-is-invalid",
        ),
        pytest.param('Pod "web" is invalid: spec.containers[0].image: Required value', "Rejected", id="app-is-invalid"),
        pytest.param(
            'pods "web" is forbidden: no PriorityClass with name high was found', "Rejected", id="priority-class"
        ),
        pytest.param(
            SECURITY + '(container "podrole-redirect" must not include "NET_ADMIN" in capabilities.add)',
            "PodSecurityBecauseOfPodrole",
            id="podsecurity-podrole",
        ),
        pytest.param(
            SECURITY + '(containers "podrole-redirect", "app" must not include "NET_ADMIN" in capabilities.add)',
            "PodSecurityAnyway",
            id="podsecurity-both",
        ),
        pytest.param(
            SECURITY + '(container "podrole-redirect" must not include "NET_ADMIN"), hostPath volumes (volume "x")',
            "PodSecurityAnyway",
            id="podsecurity-volume-of-the-pod",
        ),
        pytest.param(
            QUOTA.format("requests.cpu=120m", "requests.cpu=880m", "requests.cpu=990m"),
            "QuotaBecauseOfPodrole",
            id="quota-fits-without-podrole",
        ),
        pytest.param(
            QUOTA.format("cpu=120m", "cpu=880m", "cpu=990m"), "QuotaBecauseOfPodrole", id="quota-of-cpu-is-of-requests"
        ),
        pytest.param(
            QUOTA.format("requests.cpu=120m", "requests.cpu=900m", "requests.cpu=999m"),
            "QuotaAnyway",
            id="quota-is-full-without-podrole",
        ),
        pytest.param(
            QUOTA.format("pods=1,requests.cpu=120m", "pods=5,requests.cpu=0", "pods=5,requests.cpu=110m"),
            "QuotaAnyway",
            id="quota-of-pods",
        ),
        pytest.param(
            QUOTA.format("limits.memory=196Mi", "limits.memory=0", "limits.memory=128Mi"),
            "QuotaBecauseOfPodrole",
            id="quota-of-limits",
        ),
        pytest.param('pods "x" is forbidden: failed quota: q: status unknown for quota', "Quota", id="quota-unknown"),
        pytest.param(SPECIFY.format("podrole-sidecar"), "QuotaBecauseOfPodrole", id="must-specify-podrole"),
        pytest.param(SPECIFY.format("app,podrole-sidecar"), "QuotaAnyway", id="must-specify-both"),
        pytest.param(
            RANGE.format("minimum cpu usage per Container is 50m, but request is 20m"),
            "LimitRangeBecauseOfPodrole",
            id="range-of-podroles-container",
        ),
        pytest.param(
            RANGE.format("maximum memory usage per Container is 64Mi, but limit is 100Mi"),
            "LimitRangeAnyway",
            id="range-of-the-apps-container",
        ),
        pytest.param(
            RANGE.format("[minimum memory usage per Container is 50Mi, but request is 48Mi]"),
            "LimitRangeBecauseOfPodrole",
            id="range-in-brackets",
        ),
        pytest.param(
            RANGE.format("maximum memory usage per Pod is 150Mi, but limit is 205520896"),
            "LimitRangeBecauseOfPodrole",
            id="range-of-the-pod",
        ),
        pytest.param(
            RANGE.format("maximum memory usage per Pod is 50Mi, but limit is 205520896"),
            "LimitRangeAnyway",
            id="range-of-the-pod-anyway",
        ),
        pytest.param(
            'Pod "x" is invalid: spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal '
            "to cpu limit of 1",
            "LimitRange",
            id="default-limit-below-the-request",
        ),
    ],
)
def test_cause_is_the_one_that_the_message_names(message: str, code: str) -> None:
    finding = explain(message)

    assert (finding.code, finding.level) == (code, Level.PROBLEM)
    assert "(dry run now)" in finding.text


@pytest.mark.parametrize("message", ["", "x" * 100_000, "\x1b[31m\n" * 10_000], ids=["empty", "long", "control"])
def test_hostile_message_is_a_bounded_problem_on_one_line(message: str) -> None:
    finding = explain(message)

    assert finding.code == "Rejected"
    assert len(finding.text) < 5000
    assert finding.text.isprintable()


@pytest.mark.parametrize(
    "message",
    [
        pytest.param('admission webhook "validate.kyverno.svc-fail" denied the request: no latest', id="webhook"),
        pytest.param("ValidatingAdmissionPolicy 'a' with binding 'b' denied request: no", id="policy"),
    ],
)
def test_policy_is_about_the_pod_itself_where_podrole_adds_nothing(message: str) -> None:
    assert explain(message, ()).code == "OtherWebhook"


def test_policy_finding_names_what_podrole_adds_and_a_line_for_its_namespace() -> None:
    redirect = {
        "name": "podrole-redirect",
        "image": "registry/sidecar:1",
        "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}},
    }
    finding = explain("ValidatingAdmissionPolicy 'a' with binding 'b' denied request: no", (redirect,))

    assert "podrole-redirect (image registry/sidecar:1, capability NET_ADMIN)" in finding.remedy
    assert finding.remedy.endswith("\nkubectl label namespace team-a pod-security.kubernetes.io/enforce=baseline")


def test_pod_that_podrole_would_not_change_is_not_rejected_because_of_it() -> None:
    finding = explain(QUOTA.format("requests.cpu=120m", "requests.cpu=880m", "requests.cpu=990m"), ())

    assert finding.code == "QuotaAnyway"


def test_denial_is_shown_without_the_api_servers_words_around_it() -> None:
    finding = explain(f"Error creating: {DENIED}")

    assert finding.text == "podrole's webhook denies new pods (dry run now): [RoleNotAllowed] No."


def test_quota_names_what_podrole_adds_and_how_to_change_it() -> None:
    finding = explain(SPECIFY.format("podrole-sidecar"))

    assert "podrole-sidecar: requests cpu 20m, memory 48Mi, limits memory 96Mi" in finding.text
    assert finding.remedy.startswith("kubectl -n team-a describe resourcequotas\n")
