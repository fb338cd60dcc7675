"""The dry run: in which namespaces, with which pod, and what the API server's answers mean."""

from typing import Any

import pytest

from podrole.diagnosis.state.cluster import DryRunResult
from podrole.diagnosis.workloads.dry_run import (
    MAX_DRY_RUNS,
    build_pod,
    choose_namespaces,
    is_webhook_unreachable,
    limit_namespaces,
)
from podrole.findings import Finding
from testing.cases import CONFIG, ENVIRON
from testing.repository import ROOT
from tests.unit.podrole.diagnosis.states import (
    build_cluster_state,
    build_namespace,
    build_plain_pod,
    build_running_pod,
    diagnose_with,
    find_texts,
    list_concerns,
)

DENIED = 'admission webhook "pods.podrole.io" denied the request: pod team-a/podrole-preflight-* (request 1): '
UNREACHABLE = 'failed calling webhook "pods.podrole.io": x509 (500)'
MUST_SPECIFY = (
    'pods "podrole-preflight-x" is forbidden: failed quota: q: must specify limits.cpu for: '
    "podrole-redirect,podrole-sidecar (403)"
)
EXCEEDED_QUOTA = (
    'pods "podrole-preflight-x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=10, '
    "limited: pods=10 (403)"
)
MAXIMUM = 'pods "podrole-preflight-x" is forbidden: maximum memory usage per Container is 64Mi, but limit is 96Mi (403)'
MINIMUM = 'pods "podrole-preflight-x" is forbidden: minimum cpu usage per Container is 50m, but request is 20m (403)'
RATIO = (
    'pods "podrole-preflight-x" is forbidden: memory max limit to request ratio per Container is 1, but provided '
    "ratio is 2.000000 (403)"
)
NO_REQUEST = (
    'pods "podrole-preflight-x" is forbidden: cpu max limit to request ratio per Pod is 2, but no request is specified '
    "or request is 0 (403)"
)
BELOW_REQUEST = (
    'Pod "podrole-preflight-x" is invalid: spec.initContainers[0].resources.requests: Invalid value: "20m": must be '
    "less than or equal to cpu limit of 10m (422)"
)


def diagnose(*results: DryRunResult, **changes: Any) -> list[Finding]:
    return diagnose_with(dry_runs=[*results], **changes)


@pytest.mark.parametrize(
    ("message", "codes"),
    [
        pytest.param(f"{DENIED}[RoleNotAllowed] No. (403)", [], id="only-the-role-denied"),
        pytest.param(f"{DENIED}[RoleNotAllowed] [InvalidRole] No. (403)", ["DryRunDenied"], id="denied-twice"),
        pytest.param(UNREACHABLE, ["WebhookUnreachable"], id="webhook-unreachable"),
        pytest.param('User "x" cannot create resource "pods" (403)', ["DryRunForbidden"], id="no-permission"),
        pytest.param(MUST_SPECIFY, ["ResourceQuota"], id="quota-requires-a-limit"),
        pytest.param(EXCEEDED_QUOTA, ["ResourceQuota"], id="quota-exceeded"),
        pytest.param(MAXIMUM, ["LimitRange"], id="limit-range-maximum"),
        pytest.param(MINIMUM, ["LimitRange"], id="limit-range-minimum"),
        pytest.param(RATIO, ["LimitRange"], id="limit-range-ratio"),
        pytest.param(NO_REQUEST, ["LimitRange"], id="limit-range-ratio-without-request"),
        pytest.param(BELOW_REQUEST, ["LimitRange"], id="limit-range-default-below-request"),
        pytest.param("something else (403)", ["DryRunRejected"], id="rejected-for-another-reason"),
        pytest.param(
            "ValidatingAdmissionPolicy 'a' with binding 'b' denied request: no (422)", ["Policy"], id="policy"
        ),
        pytest.param('admission webhook "x.kyverno" denied the request: no (403)', ["Policy"], id="policy-webhook"),
        pytest.param(
            'failed calling webhook "x.kyverno": timeout (500)', ["OtherWebhookUnreachable"], id="other-webhook-down"
        ),
    ],
)
def test_rejected_dry_run_is_classified_by_the_message(message: str, codes: list[str]) -> None:
    assert list_concerns(diagnose(DryRunResult("team-a", None, message))) == codes


@pytest.mark.parametrize(
    ("message", "note"),
    [
        pytest.param(MUST_SPECIFY, "BecauseOfPodrole", id="must-specify-podroles"),
        pytest.param(MUST_SPECIFY.replace("podrole-redirect", "app"), "NotBecauseOfPodrole", id="must-specify-both"),
        pytest.param(EXCEEDED_QUOTA, "NotBecauseOfPodrole", id="quota-of-pods"),
        pytest.param(
            EXCEEDED_QUOTA.replace("pods=10", "requests.cpu=900m", 1)
            .replace("pods=10", "requests.cpu=1")
            .replace("pods=1,", "requests.cpu=120m,"),
            "BecauseOfPodrole",
            id="quota-that-the-pod-alone-fits",
        ),
        pytest.param(MAXIMUM, "BecauseOfPodrole", id="range-of-podroles"),
        pytest.param(MAXIMUM.replace("96Mi", "128Mi"), "NotBecauseOfPodrole", id="range-of-the-pods"),
        pytest.param(RATIO, None, id="message-that-does-not-tell"),
        pytest.param(BELOW_REQUEST, None, id="message-about-a-default"),
    ],
)
def test_limit_is_because_of_podrole_only_where_the_pod_alone_fits(message: str, note: str | None) -> None:
    findings = diagnose(DryRunResult("team-a", None, message))

    codes = [one.code for one in findings if one.code.endswith("BecauseOfPodrole")]
    assert codes == ([note] if note else [])


@pytest.mark.parametrize(
    "message", [MUST_SPECIFY, EXCEEDED_QUOTA, MAXIMUM, MINIMUM, RATIO], ids=["must", "exceeded", "max", "min", "ratio"]
)
def test_finding_contains_the_message_of_the_api_server(message: str) -> None:
    findings = diagnose(DryRunResult("team-a", None, message))

    (finding,) = [finding for finding in findings if finding.level == "problem"]
    assert finding.text.endswith(f" rejected a pod in a dry run in namespace team-a: {message}")
    assert finding.remedy


def test_pod_that_is_not_injected_is_a_problem() -> None:
    assert list_concerns(diagnose(DryRunResult("team-a", build_plain_pod()))) == ["DryRunNotInjected"]


def test_injected_pods_are_reported_once_with_all_namespaces() -> None:
    results = [DryRunResult(f"team-{index}", build_running_pod()) for index in range(7)]
    namespaces = [build_namespace(f"team-{index}") for index in range(7)]

    findings = diagnose(*results, namespaces=namespaces)

    assert find_texts(findings, "DryRunInjected") == [
        "The webhook injected a pod in a dry run: namespaces team-0, team-1, team-2, team-3, team-4 and 2 more."
    ]


def test_rejection_in_one_of_two_namespaces_is_reported_for_that_one() -> None:
    results = [DryRunResult("team-a", build_running_pod()), DryRunResult("team-b", None, MUST_SPECIFY)]

    findings = diagnose(*results, namespaces=[build_namespace("team-a"), build_namespace("team-b")])

    assert list_concerns(findings) == ["ResourceQuota"]
    assert "in namespace team-b: " in find_texts(findings, "ResourceQuota")[0]
    assert find_texts(findings, "DryRunInjected") == ["The webhook injected a pod in a dry run: namespaces team-a."]


def test_skipped_dry_run_is_a_note() -> None:
    findings = diagnose(dry_run_skipped=True)

    assert list_concerns(findings) == []
    assert find_texts(findings, "DryRunSkipped") == ["The dry run of a pod was skipped (--no-dry-run)."]


def test_labelled_namespaces_without_dry_run_are_listed_in_a_note() -> None:
    namespaces = [build_namespace(name) for name in ("team-a", "team-b", "team-c")]

    findings = diagnose(DryRunResult("team-a", build_running_pod()), namespaces=namespaces)

    (finding,) = [finding for finding in findings if finding.code == "DryRunOmitted"]
    assert finding.level == "note"
    assert finding.text == "No dry run was made in these labelled namespaces: team-b, team-c."


def test_every_labelled_namespace_up_to_the_limit_gets_a_dry_run() -> None:
    names = [f"team-{index:02}" for index in range(MAX_DRY_RUNS + 3)]
    namespaces = [build_namespace(name) for name in names]

    assert limit_namespaces(build_cluster_state(namespaces=namespaces[:2])) == names[:2]
    assert limit_namespaces(build_cluster_state(namespaces=namespaces)) == names[:MAX_DRY_RUNS]


def test_documentation_states_the_limit_of_dry_runs() -> None:
    assert f"the first {MAX_DRY_RUNS} labelled namespaces" in (ROOT / "docs" / "cli.md").read_text()


def test_every_requested_namespace_gets_a_dry_run() -> None:
    names = tuple(f"team-{index:02}" for index in range(MAX_DRY_RUNS + 3))
    namespaces = [build_namespace(name) for name in names]

    assert limit_namespaces(build_cluster_state(None, names, namespaces=namespaces)) == [*names]


def test_namespaces_without_injection_get_no_dry_run() -> None:
    terminating = build_namespace("terminating")
    terminating["metadata"]["deletionTimestamp"] = "2026-09-02T10:00:00Z"
    unlabelled = build_namespace(team="a")

    assert choose_namespaces(build_cluster_state(webhooks=[])) == []
    assert choose_namespaces(build_cluster_state(namespaces=[terminating, unlabelled])) == []


def test_requested_namespace_that_cannot_be_read_gets_a_dry_run() -> None:
    cluster = build_cluster_state({"namespaces": "forbidden"}, ("team-a",))

    assert choose_namespaces(cluster) == ["team-a"]


@pytest.mark.parametrize(
    ("message", "is_unreachable"),
    [pytest.param(UNREACHABLE, True, id="unreachable"), pytest.param(MUST_SPECIFY, False, id="quota")],
)
def test_unreachable_webhook_is_recognised_by_the_message(message: str, *, is_unreachable: bool) -> None:
    assert is_webhook_unreachable(DryRunResult("team-a", None, message)) is is_unreachable


def test_pod_requests_a_role_of_the_configured_partition() -> None:
    config = type(CONFIG).from_environ({**ENVIRON, "PODROLE_REGION": "cn-north-1"})

    assert "arn:aws-cn:iam::" in str(build_pod(config)["metadata"])
    assert "arn:aws:iam::" in str(build_pod(None)["metadata"])
