"""The roles that annotations name, and the ServiceAccounts that use them."""

from dataclasses import replace
from typing import Any

import pytest

from injector.errors import ObjectError
from podrole.estate.objects import Estate
from podrole.iam.admission import Account
from podrole.iam.policies import ChainedRole, TrustRequirements, build_subject
from podrole.iam.usage import RoleUsage, find_usage
from testing.cases import CONFIG
from tests.unit.podrole.iam.found_usage import ACCOUNT, BASE, find
from tests.unit.podrole.workloads import KINDS, build_workload

AUDIENCE = "eks.amazonaws.com/audience"
WEB = build_subject("team-a", "web")
KOPS = CONFIG._replace(audience="amazonaws.com")


def build_pod(namespace: str = "team-a", account: str | None = None, **annotations: str) -> dict[str, Any]:
    keys = {f"iam.amazonaws.com/{key.replace('_', '-')}": value for key, value in annotations.items()}
    spec = {"containers": [], **({"serviceAccountName": account} if account else {})}
    return {"metadata": {"name": "app", "namespace": namespace, "annotations": keys}, "spec": spec}


def namespace_with(**annotations: str) -> dict[str, Any]:
    keys = {f"podrole.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return build_namespace(keys)


def build_namespace(annotations: dict[str, str], name: str = "team-a", *, is_labelled: bool = True) -> dict[str, Any]:
    labels = {"podrole.io/injection": "enabled"} if is_labelled else {}
    metadata = {"name": name, "labels": labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def account_with(name: str, annotations: dict[str, str]) -> dict[str, Any]:
    return {"kind": "ServiceAccount", "metadata": {"name": name, "namespace": "team-a", "annotations": annotations}}


def read_notices(usage: RoleUsage, code: str) -> list[str]:
    return [one.finding.text for one in usage.notices if one.finding.code == code]


def pod(*arguments: str, **annotations: str) -> dict[str, Any]:
    return build_workload("Pod", build_pod(*arguments, **annotations))


def build_rollout(template: dict[str, Any]) -> dict[str, Any]:
    metadata = {"namespace": "team-a", "name": "odd"}
    spec = {"template": template}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": metadata, "spec": spec}


ODD = [
    pytest.param({"metadata": {"annotations": {"iam.amazonaws.com/role": 5}}, "spec": {}}, "type int", id="annotation"),
    pytest.param({"spec": {"serviceAccountName": [1]}}, "type list", id="service-account"),
    pytest.param({"spec": {"serviceAccountName": "*"}}, "wildcard", id="wildcard"),
]


@pytest.mark.parametrize(("template", "why"), ODD)
def test_custom_kind_with_other_fields_is_a_warning_and_ends_nothing(template: dict[str, Any], why: str) -> None:
    """Anybody who can create one in a namespace could end the command for the whole cluster."""
    odd = build_rollout(template)
    estate = Estate(is_complete=True)
    for thing in (build_namespace({}), account_with("web", {"iam.amazonaws.com/role": "reader"}), odd):
        estate.add(thing)

    usage = find_usage(estate, ACCOUNT)

    assert [one.role_arn for one in usage.requirements] == [f"{BASE}reader"]
    (text,) = read_notices(usage, "PodTemplateUnknown")
    assert "Rollout team-a/odd" in text
    assert why in text


@pytest.mark.parametrize(("template", "why"), ODD)
def test_manifest_with_other_fields_is_rejected_with_its_name(template: dict[str, Any], why: str) -> None:
    odd = build_rollout(template)

    with pytest.raises(ObjectError, match=rf"^Rollout team-a/odd: .*{why}"):
        find(odd)


def test_malformed_object_is_rejected() -> None:
    with pytest.raises(ObjectError):
        find({"kind": "Namespace", "metadata": []})


def test_invalid_role_is_a_problem_and_others_are_still_found() -> None:
    usage = find(pod(role="a b"), pod("team-b", role="reader"))

    assert [requirements.role_arn for requirements in usage.requirements] == [f"{BASE}reader"]
    [problem] = read_notices(usage, "SubjectDenied")
    assert problem.startswith(
        "system:serviceaccount:team-a:default is left out, because the webhook denies its role to Pod team-a/app: "
        '[InvalidRole] annotation iam.amazonaws.com/role of the pod is "a b", which is not a valid role'
    )


def test_role_name_without_an_account_is_a_problem() -> None:
    usage = find(pod(role="reader"), account=Account())

    assert usage.requirements == ()
    assert "a name without an account" in read_notices(usage, "SubjectDenied")[0]


def test_role_in_another_partition_is_a_problem_only_with_a_region() -> None:
    thing = pod(role="arn:aws-cn:iam::111122223333:role/reader")

    assert "a role in partition aws-cn" in read_notices(find(thing), "SubjectDenied")[0]
    assert find(thing, account=Account()).requirements[0].role_arn == "arn:aws-cn:iam::111122223333:role/reader"


@pytest.mark.parametrize("kind", KINDS)
def test_pod_template_of_every_kind_is_read(kind: str) -> None:
    usage = find(build_workload(kind, build_pod(account="web", role="reader")))

    assert usage.requirements == (TrustRequirements(f"{BASE}reader", frozenset([build_subject("team-a", "web")])),)


def test_all_users_of_a_role_are_collected() -> None:
    usage = find(
        pod(role="reader"),
        pod("team-b", "api", role=f"{BASE}reader"),
        account_with("job", {"eks.amazonaws.com/role-arn": f"{BASE}reader"}),
    )

    [requirements] = usage.requirements
    assert requirements.subjects == {
        build_subject("team-a", "default"),
        build_subject("team-b", "api"),
        build_subject("team-a", "job"),
    }


@pytest.mark.parametrize(
    ("annotations", "account", "audiences"),
    [
        pytest.param({}, ACCOUNT, {}, id="default"),
        pytest.param({AUDIENCE: ""}, ACCOUNT, {}, id="empty"),
        pytest.param({AUDIENCE: "vault"}, ACCOUNT, {WEB: "vault"}, id="service-account"),
        pytest.param({}, replace(ACCOUNT, audience="amazonaws.com"), {WEB: "amazonaws.com"}, id="option"),
        pytest.param({AUDIENCE: "vault"}, replace(ACCOUNT, audience="x"), {WEB: "vault"}, id="account-before-option"),
        pytest.param({}, replace(ACCOUNT, installed=KOPS), {WEB: "amazonaws.com"}, id="installed-webhook"),
        pytest.param({}, replace(ACCOUNT, installed=KOPS, audience="x"), {WEB: "x"}, id="option-before-installed"),
    ],
)
def test_audience_of_the_webhook_is_that_of_the_policy(
    annotations: dict[str, str], account: Account, audiences: dict[str, str]
) -> None:
    usage = find(account_with("web", {"iam.amazonaws.com/role": "reader"} | annotations), account=account)

    assert usage.requirements[0].audiences == audiences


def test_role_precedence_is_pod_service_account_namespace() -> None:
    usage = find(
        namespace_with(default_role="of-namespace"),
        account_with("web", {"iam.amazonaws.com/role": "of-account", "eks.amazonaws.com/role-arn": f"{BASE}irsa"}),
        pod("team-a", "web", role="of-pod"),
        pod("team-a", "web"),
        pod("team-a", "api"),
    )

    web, api = build_subject("team-a", "web"), build_subject("team-a", "api")
    assert {
        requirements.role_arn.removeprefix(BASE): set(requirements.subjects) for requirements in usage.requirements
    } == {
        "of-account": {web},
        "of-namespace": {api},
        "of-pod": {web},
    }


def test_unused_default_role_is_for_the_default_service_account() -> None:
    usage = find(namespace_with(default_role="reader"), account_with("web", {}))

    assert usage.requirements == (TrustRequirements(f"{BASE}reader", frozenset([build_subject("team-a", "default")])),)


def test_role_with_an_intermediate_role_trusts_only_that() -> None:
    usage = find(
        namespace_with(intermediate_role=f"{BASE}intermediate"),
        pod("team-a", "web", role="arn:aws:iam::444455556666:role/far", external_id="xy"),
    )

    assert usage.requirements == (
        TrustRequirements(f"{BASE}intermediate", frozenset([build_subject("team-a", "web")])),
        TrustRequirements(
            "arn:aws:iam::444455556666:role/far", frozenset(), frozenset([ChainedRole(f"{BASE}intermediate", "xy")])
        ),
    )


def test_session_tags_are_part_of_the_requirements() -> None:
    thing = pod("team-a", "web", role="far")
    thing["metadata"]["annotations"]["podrole.io/session-tags"] = "a=b"

    usage = find(namespace_with(intermediate_role="intermediate"), thing)

    assert usage.requirements[0].chained_roles == {ChainedRole(f"{BASE}intermediate", None, has_tags=True)}


def test_invalid_intermediate_role_is_a_problem() -> None:
    usage = find(namespace_with(intermediate_role="a b"), pod(role="far"))

    assert usage.requirements == ()
    [problem] = read_notices(usage, "SubjectDenied")
    assert 'annotation podrole.io/intermediate-role of the namespace is "a b"' in problem


def test_pods_without_a_role_have_no_requirements() -> None:
    assert find(pod(), namespace_with(), account_with("web", {})) == RoleUsage((), ())


def test_accounts_of_a_custom_kind_with_a_known_template_are_found() -> None:
    template = build_pod(account="web", role="reader")
    rollout = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "a", "namespace": "team-a"},
    }

    usage = find(build_namespace({}), rollout | {"spec": {"template": template}})

    assert [one.subjects for one in usage.requirements] == [{build_subject("team-a", "web")}]


@pytest.mark.parametrize(
    ("version", "kind", "spec"),
    [
        pytest.param("sparkoperator.k8s.io/v1beta2", "SparkApplication", {"driver": {}}, id="built-by-its-controller"),
        pytest.param("example.com/v1", "Web", {"pod": {"spec": {"containers": [{"name": "a"}]}}}, id="unknown"),
    ],
)
def test_object_whose_accounts_are_unknown_is_a_warning(version: str, kind: str, spec: Any) -> None:
    metadata = {"name": "a", "namespace": "team-a"}

    usage = find({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})

    [notice] = usage.notices
    assert notice.finding.text.startswith(f"The ServiceAccounts of the pods of {kind} team-a/a are unknown")
    assert usage.list_findings("arn:aws:iam::111122223333:role/any") == [notice.finding]


@pytest.mark.parametrize(
    ("role", "owners"), [("a b", ["Deployment"]), ("c d", ["Deployment", "Pod"])], ids=["same", "other"]
)
def test_denied_pod_of_a_denied_workload_is_named_once_unless_it_differs(role: str, owners: list[str]) -> None:
    denied = pod(role=role)

    usage = find(denied, build_workload("Deployment", build_pod(role="a b")))

    problems = read_notices(usage, "SubjectDenied")
    assert [next(kind for kind in owners if f"to {kind} team-a/app" in text) for text in problems] == owners


@pytest.mark.parametrize(
    "things",
    [
        pytest.param((build_workload("Deployment", build_pod(account="gone", role="reader")),), id="template"),
        pytest.param((build_workload("CronJob", build_pod(account="gone", role="reader")),), id="nested-template"),
        pytest.param((pod(account="gone", role="reader"),), id="pod"),
    ],
)
def test_missing_service_account_is_reported_with_its_namespace(things: tuple[dict[str, Any], ...]) -> None:
    """A pod template does not name the namespace of its pods."""
    estate = Estate(is_complete=True)
    for thing in (namespace_with(), *things):
        estate.add(thing)

    [text] = read_notices(find_usage(estate, ACCOUNT), "SubjectDenied")

    assert 'ServiceAccount "gone" does not exist in namespace "team-a"' in text
