"""The webhook's own decision about who names a role."""

from typing import Any

import pytest
import yaml

from injector.value_types import AllowedRolesFormat
from podrole.estate.objects import Estate
from podrole.iam.admission import SYSTEM_NAMESPACES, Account, Selection
from podrole.iam.policies import build_subject
from podrole.iam.usage import ADMITTED, RoleUsage, find_usage
from testing.cases import CONFIG
from testing.repository import ROOT
from tests.unit.podrole.iam.found_usage import ACCOUNT, BASE, find
from tests.unit.podrole.workloads import build_workload

ROLE = f"{BASE}team-a/reader"
SUBJECT = build_subject("team-a", "web")
KUBE2IAM, KIAM, ROLE_KEY = "iam.amazonaws.com/allowed-roles", "iam.amazonaws.com/permitted", "iam.amazonaws.com/role"


def build_namespace(annotations: dict[str, str], *, is_labelled: bool = True) -> dict[str, Any]:
    labels = {"podrole.io/injection": "enabled"} if is_labelled else {}
    return {"kind": "Namespace", "metadata": {"name": "team-a", "labels": labels, "annotations": annotations}}


def build_account(role: str = ROLE) -> dict[str, Any]:
    return {
        "kind": "ServiceAccount",
        "metadata": {"name": "web", "namespace": "team-a", "annotations": {ROLE_KEY: role}},
    }


def build_pod(annotations: dict[str, str], **spec: Any) -> dict[str, Any]:
    metadata = {"name": "app", "namespace": "team-a", "annotations": annotations}
    spec = {"serviceAccountName": "web", "containers": [], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def list_codes(usage: RoleUsage) -> list[str]:
    return [notice.finding.code for notice in usage.notices]


def list_users(usage: RoleUsage) -> set[str]:
    return {subject for requirements in usage.requirements for subject in requirements.subjects}


DENIED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "allow-list-of-kube2iam": (build_namespace({KUBE2IAM: '["other"]'}), build_account()),
    "allow-list-of-kiam": (build_namespace({KIAM: ".*:role/other"}), build_account()),
    "one-of-two-allow-lists": (build_namespace({KUBE2IAM: '["**"]', KIAM: "x"}), build_account()),
    "invalid-allow-list": (build_namespace({KUBE2IAM: "["}), build_account()),
    "invalid-role": (build_namespace({}), build_account("a b")),
    "role-in-another-partition": (build_namespace({}), build_account("arn:aws-cn:iam::111122223333:role/x")),
    "invalid-intermediate-role": (build_namespace({"podrole.io/intermediate-role": "a b"}), build_account()),
    "external-id-without-intermediate-role": (
        build_namespace({}),
        build_pod({ROLE_KEY: ROLE, "iam.amazonaws.com/external-id": "abc"}),
    ),
    "invalid-session-name": (build_namespace({}), build_pod({ROLE_KEY: ROLE, "iam.amazonaws.com/session-name": "a b"})),
    "too-many-session-tags": (
        build_namespace({"podrole.io/intermediate-role": ROLE}),
        build_pod({ROLE_KEY: ROLE, "podrole.io/session-tags": ",".join(f"k{n}=v" for n in range(51))}),
    ),
    "override-that-is-not-allowed": (build_namespace({}), build_pod({ROLE_KEY: ROLE, "podrole.io/mode": "env"})),
    "sidecars-user": (
        build_namespace({}),
        build_pod({ROLE_KEY: ROLE}, containers=[{"name": "a", "securityContext": {"runAsUser": 16925}}] * 100),
    ),
    "host-network-with-a-role": (build_namespace({}), build_pod({ROLE_KEY: ROLE}, hostNetwork=True)),
}


@pytest.mark.parametrize("things", DENIED.values(), ids=DENIED)
def test_account_is_left_out_with_the_reason_if_the_webhook_denies_it(things: tuple[dict[str, Any], ...]) -> None:
    usage = find(*things)

    assert usage.requirements == ()
    assert list_codes(usage) == ["SubjectDenied"]
    [notice] = usage.notices
    assert notice.subject == SUBJECT
    assert notice.finding.text.startswith(f"{SUBJECT} is left out, because the webhook denies its role to ")
    assert len(notice.finding.text) < 3000


def test_denied_account_keeps_those_of_other_objects() -> None:
    usage = find(build_namespace({KUBE2IAM: '["team-a/*"]'}), build_account(), build_pod({ROLE_KEY: f"{BASE}payments"}))

    assert [(one.role_arn, {*one.subjects}) for one in usage.requirements] == [(ROLE, {SUBJECT})]
    assert [one.role_arn for one in usage.notices] == [f"{BASE}payments"]
    assert [one.code for one in usage.list_findings(f"{BASE}payments")] == ["SubjectDenied"]
    assert usage.list_findings(ROLE) == []


def test_account_of_an_unlabelled_namespace_is_left_out() -> None:
    usage = find(build_namespace({}, is_labelled=False), build_account())

    assert usage.requirements == ()
    assert list_codes(usage) == ["SubjectUnlabelled"]


@pytest.mark.parametrize(
    ("allow_list", "users"),
    [pytest.param("team-a/*", {SUBJECT}, id="allowed-role"), pytest.param("other", set(), id="denied-role")],
)
def test_unlabelled_namespace_that_is_included_has_its_allow_list(allow_list: str, users: set[str]) -> None:
    namespace = build_namespace({KUBE2IAM: f'["{allow_list}"]'}, is_labelled=False)

    assert list_users(find(namespace, build_account(), selection=Selection(includes_unlabelled=True))) == users


@pytest.mark.parametrize("value", ["disabled", "false"])
def test_namespace_that_is_left_out_on_purpose_is_never_included(value: str) -> None:
    namespace = build_namespace({}, is_labelled=False)
    namespace["metadata"]["labels"] = {"podrole.io/injection": value}

    usage = find(namespace, build_account(), selection=Selection(includes_unlabelled=True))

    assert usage.requirements == ()
    assert list_codes(usage) == ["SubjectLeftOut"]


@pytest.mark.parametrize("has_account", [True, False], ids=["account", "account-is-gone"])
def test_namespace_that_is_being_deleted_is_left_out_and_misses_no_account(*, has_account: bool) -> None:
    estate = Estate(is_complete=True)
    namespace = build_namespace({})
    namespace["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    for one in (namespace, build_pod({ROLE_KEY: ROLE}), *([build_account()] if has_account else [])):
        estate.add(one)

    usage = find_usage(estate, ACCOUNT)

    assert usage.requirements == ()
    assert list_codes(usage) == ["SubjectTerminating"]


UNRESTRICTED = {
    "no-allow-list": {},
    "glob-for-all-roles-of-the-account": {KUBE2IAM: '["**"]'},
    "regexp-for-all-roles": {KIAM: ".*"},
}


@pytest.mark.parametrize("annotations", UNRESTRICTED.values(), ids=UNRESTRICTED)
@pytest.mark.parametrize(
    "claim", [build_account(), build_pod({ROLE_KEY: ROLE})], ids=["of-a-service-account", "of-a-pod"]
)
def test_role_that_no_allow_list_restricts_is_claimed(claim: dict[str, Any], annotations: dict[str, str]) -> None:
    usage = find(build_namespace(annotations), claim)
    without = find(build_namespace(annotations), claim, selection=Selection(requires_allow_list=True))

    assert list_users(usage) == {SUBJECT}
    assert list_codes(usage) == ["SelfClaimed"]
    assert list_users(without) == set()
    assert list_codes(without) == ["AllowListMissing"]


@pytest.mark.parametrize(
    "annotations", [{KUBE2IAM: '["team-a/*"]'}, {KIAM: ".*:role/team-a/.*"}], ids=["glob", "regexp"]
)
def test_role_of_an_allow_list_is_not_claimed(annotations: dict[str, str]) -> None:
    usage = find(build_namespace(annotations), build_account(), selection=Selection(requires_allow_list=True))

    assert list_users(usage) == {SUBJECT}
    assert usage.notices == ()


def test_default_role_of_the_namespace_is_not_claimed() -> None:
    usage = find(build_namespace({"podrole.io/default-role": ROLE}), build_pod({}))

    assert list_users(usage) == {SUBJECT}
    assert usage.notices == ()


def test_claim_through_an_intermediate_role_is_about_the_claimed_role() -> None:
    usage = find(build_namespace({"podrole.io/intermediate-role": f"{BASE}first"}), build_account())

    assert [(one.role_arn, one.finding.code) for one in usage.notices] == [(ROLE, "SelfClaimed")]


def test_namespace_that_the_manifests_lack_is_reported() -> None:
    usage = find(build_account())

    assert list_users(usage) == {SUBJECT}
    assert list_codes(usage) == ["NamespaceUnknown"]


def test_pod_that_the_webhook_leaves_unchanged_is_left_out() -> None:
    usage = find(build_namespace({"podrole.io/default-role": ROLE}), build_pod({}, hostNetwork=True))

    assert usage.requirements == ()
    assert list_codes(usage) == ["SubjectSkipped"]


@pytest.mark.parametrize(
    ("pods", "users", "codes"),
    [
        pytest.param([], {SUBJECT}, [], id="no-workload-yet"),
        pytest.param([build_pod({}, hostNetwork=True)], set(), ["SubjectSkipped"], id="only-host-network"),
        pytest.param([build_pod({}, hostNetwork=True), build_pod({})], {SUBJECT}, ["SubjectSkipped"], id="one-of-two"),
        pytest.param(
            [build_pod({"iam.amazonaws.com/session-name": "a b"})], set(), ["SubjectDenied"], id="only-denied"
        ),
        pytest.param([build_pod({ROLE_KEY: f"{BASE}team-a/own"})], {SUBJECT}, [], id="roles-of-their-own"),
    ],
)
def test_role_of_a_service_account_is_for_the_pods_that_get_it(
    pods: list[dict[str, Any]], users: set[str], codes: list[str]
) -> None:
    usage = find(build_namespace({KUBE2IAM: '["team-a/*"]'}), build_account(), *pods)

    assert {subject for one in usage.requirements if one.role_arn == ROLE for subject in one.subjects} == users
    assert list_codes(usage) == codes


@pytest.mark.parametrize("namespace", ["kube-system", "kube-public", "kube-node-lease", "podrole-system"])
@pytest.mark.parametrize("selection", [ADMITTED, Selection(includes_unlabelled=True)], ids=["admitted", "unlabelled"])
def test_account_of_a_namespace_that_the_webhook_never_sees_is_left_out(namespace: str, selection: Selection) -> None:
    things = [build_namespace({}), build_account()]
    things[0]["metadata"]["name"] = things[1]["metadata"]["namespace"] = namespace

    usage = find(*things, selection=selection)

    assert usage.requirements == ()
    assert list_codes(usage) == ["SubjectInSystemNamespace"]


def test_namespaces_that_the_webhook_never_sees_are_those_of_the_base() -> None:
    [webhook] = yaml.safe_load((ROOT / "kustomize/base/webhook.yaml").read_text())["webhooks"][:1]
    selected = {one["key"]: one["values"] for one in webhook["namespaceSelector"]["matchExpressions"]}

    assert sorted(selected["kubernetes.io/metadata.name"]) == sorted(SYSTEM_NAMESPACES)


def build_cron_job(name: str, *, suspend: bool) -> dict[str, Any]:
    template = build_pod({ROLE_KEY: ROLE})
    job = build_workload("CronJob", template)
    job["metadata"] |= {"name": name, "namespace": "team-a"}
    job["spec"]["suspend"] = suspend
    return job


@pytest.mark.parametrize(
    ("suspended", "codes"),
    [
        pytest.param([True], ["SubjectSuspended"], id="suspended"),
        pytest.param([False], [], id="active"),
        pytest.param([True, False], [], id="one-of-two"),
    ],
)
def test_account_that_only_suspended_workloads_use_is_noted(suspended: list[bool], codes: list[str]) -> None:
    jobs = [build_cron_job(f"job-{number}", suspend=suspend) for number, suspend in enumerate(suspended)]

    usage = find(build_namespace({KUBE2IAM: '["team-a/*"]'}), *jobs)

    assert list_users(usage) == {SUBJECT}
    assert list_codes(usage) == codes


def test_account_that_does_not_exist_in_the_cluster_is_denied() -> None:
    usages = []
    for is_complete in (True, False):
        estate = Estate(is_complete=is_complete)
        for thing in (build_namespace({KUBE2IAM: '["team-a/*"]'}), build_pod({ROLE_KEY: ROLE})):
            estate.add(thing)
        usages.append(find_usage(estate, ACCOUNT))

    assert [list_codes(one) for one in usages] == [["SubjectDenied"], []]
    assert "[ServiceAccountNotFound]" in usages[0].notices[0].finding.text


def test_settings_of_the_installed_webhook_decide() -> None:
    installed = CONFIG._replace(allowed_roles_format=AllowedRolesFormat.REGEXP)
    namespace = build_namespace({KUBE2IAM: '["team-a/(reader|writer)"]'})

    assert list_users(find(namespace, build_account())) == set()
    assert list_users(find(namespace, build_account(), account=Account(BASE, installed=installed))) == {SUBJECT}


def test_options_take_precedence_over_the_installed_webhook() -> None:
    account = Account("arn:aws:iam::999999999999:role/", "eu-west-1", CONFIG)

    [requirements] = find(build_namespace({}), build_account("reader"), account=account).requirements

    assert requirements.role_arn == "arn:aws:iam::999999999999:role/reader"
