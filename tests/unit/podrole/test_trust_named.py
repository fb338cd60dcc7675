"""`podrole trust-policy -n NAMESPACE -s NAME`: whether the webhook admits the ServiceAccounts that the user names."""

import json
from pathlib import Path
from typing import Any

import pytest

from podrole.estate.objects import Estate
from podrole.iam.admission import Account
from podrole.iam.named import NamedAccount, find_named_usage
from podrole.iam.policies import ChainedRole, TrustRequirements
from podrole.iam.usage import RoleUsage
from testing.cases import CONFIG
from tests.unit.podrole.conftest import Run

ISSUER = "https://oidc.example.com"
BASE = "arn:aws:iam::111122223333:role/"
ROLE = f"{BASE}shop-reader"
FROM_MANIFESTS = ("-f", "all.yaml", "--issuer", ISSUER, "--account-id", "111122223333")
EVIL = "system:serviceaccount:evil:thief"
WEB = "system:serviceaccount:shop:web"
LABELLED = {"podrole.io/injection": "enabled"}
ACCOUNT = Account(BASE, "eu-west-1")

ISSUE = """\
apiVersion: v1
kind: Namespace
metadata:
  name: evil
  labels: {podrole.io/injection: enabled}
  annotations: {iam.amazonaws.com/allowed-roles: '["evil-*"]'}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: thief, namespace: evil}
spec:
  suspend: true
  schedule: "0 0 * * *"
  jobTemplate:
    spec:
      template:
        metadata: {annotations: {iam.amazonaws.com/role: shop-reader}}
        spec: {serviceAccountName: thief, restartPolicy: Never, containers: [{name: app, image: app}]}
---
apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels: {podrole.io/injection: enabled}
  annotations: {iam.amazonaws.com/allowed-roles: '["shop-*"]'}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: shop, annotations: {iam.amazonaws.com/role: shop-reader}}
"""
"""A namespace whose suspended CronJob names the role of another team, and that team."""

EXISTING = {
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]
}


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("shop-reader",), id="role"),
        pytest.param(("shop-reader", "--merge", "-"), id="merge"),
        pytest.param(("shop-reader", "--policies", "existing"), id="policies"),
        pytest.param(("--all", "-o", "json"), id="all"),
        pytest.param(("--all", "-n", "evil", "-n", "shop", "-o", "json"), id="all-of-namespaces"),
        pytest.param(("--all", "--policies", "existing", "-o", "json"), id="all-policies"),
        pytest.param(("shop-reader", "-n", "evil", "-s", "thief"), id="named"),
        pytest.param(("shop-reader", "-n", "evil", "-s", "thief", "--merge", "-"), id="named-merge"),
        pytest.param(("shop-reader", "-n", "evil", "-s", "*"), id="named-namespace"),
        pytest.param(("--all", "--include-unlabelled", "-o", "json"), id="all-unlabelled"),
    ],
)
def test_account_of_a_suspended_cron_job_that_the_webhook_would_deny_is_in_no_policy(
    run: Run, arguments: tuple[str, ...]
) -> None:
    Path("all.yaml").write_text(ISSUE)
    Path("existing").mkdir()
    Path("existing/shop-reader.json").write_text(json.dumps(EXISTING))

    result = run("trust-policy", *arguments, *FROM_MANIFESTS, stdin=json.dumps(EXISTING))

    document = json.loads(result.stdout or "{}")
    policies = [one["policy"] for one in document["roles"]] if "roles" in document else [document]
    assert result.code == 1
    assert "evil" not in json.dumps(policies)
    assert "is left out, because the webhook denies its role to " in result.stderr
    assert f"[RoleNotAllowed] The namespace does not allow the role {ROLE}" in result.stderr


def test_check_reports_a_named_account_that_the_webhook_denies_and_the_policy_trusts(run: Run) -> None:
    Path("all.yaml").write_text(ISSUE)
    unchecked = run("trust-policy", ROLE, "-n", "evil", "-s", "thief", "--issuer", ISSUER)

    result = run(
        "trust-policy", ROLE, "--check", "-", "-n", "evil", "-s", "thief", *FROM_MANIFESTS, stdin=unchecked.stdout
    )

    text = " ".join(result.stdout.split())
    assert result.code == 1
    assert f"problem {EVIL} is left out, because the webhook denies its role to its pods" in text
    assert f"warning The policy trusts {EVIL}, although the webhook denies this role to it." in text


def test_admitted_accounts_are_printed_without_those_that_are_denied(run: Run) -> None:
    Path("all.yaml").write_text(ISSUE)

    result = run("trust-policy", "shop-reader", "-n", "shop", "-s", "web", *FROM_MANIFESTS)
    denied = run("trust-policy", "evil-reader", "-n", "shop", "-s", "web", *FROM_MANIFESTS)

    [statement] = json.loads(result.stdout)["Statement"]
    assert (result.code, denied.code, denied.stdout) == (0, 1, "")
    assert statement["Condition"]["StringEquals"]["oidc.example.com:sub"] == WEB
    assert "The webhook admits none of these ServiceAccounts, so there is no policy." in denied.stderr


def build_estate(annotations: dict[str, str] | None = None, *, is_complete: bool = True) -> Estate:
    """The labelled namespace `shop`, whose annotations are given, with the account `web`."""
    estate = Estate(is_complete=is_complete)
    estate.add({"kind": "Namespace", "metadata": {"name": "shop", "labels": LABELLED, "annotations": annotations}})
    estate.add({"kind": "ServiceAccount", "metadata": {"name": "web", "namespace": "shop"}})
    return estate


def find(estate: Estate, *names: tuple[str, str], role: str = ROLE, account: Account = ACCOUNT) -> RoleUsage:
    return find_named_usage(role, [NamedAccount(*one) for one in names or (("shop", "web"),)], estate, account)


def list_codes(usage: RoleUsage) -> list[str]:
    return [one.finding.code for one in usage.notices]


@pytest.mark.parametrize(
    "annotations",
    [
        pytest.param({"iam.amazonaws.com/allowed-roles": '["other"]'}, id="allow-list"),
        pytest.param({"iam.amazonaws.com/permitted": "other"}, id="allow-list-of-kiam"),
        pytest.param({"iam.amazonaws.com/allowed-roles": "["}, id="invalid-allow-list"),
        pytest.param({"podrole.io/intermediate-role": "a b"}, id="invalid-intermediate-role"),
    ],
)
def test_named_account_that_the_namespace_denies_is_left_out(annotations: dict[str, str]) -> None:
    usage = find(build_estate(annotations))

    assert usage.requirements == ()
    assert list_codes(usage) == ["SubjectDenied"]


@pytest.mark.parametrize("namespace", ["kube-system", "podrole-system"])
def test_account_of_a_namespace_without_webhook_is_left_out_whatever_its_label(namespace: str) -> None:
    estate = Estate()
    estate.add({"kind": "Namespace", "metadata": {"name": namespace, "labels": LABELLED}})

    usage = find(estate, (namespace, "web"))

    assert usage.requirements == ()
    assert list_codes(usage) == ["SubjectInSystemNamespace"]


def test_role_in_another_partition_than_the_installed_webhooks_is_left_out() -> None:
    usage = find(build_estate(), role="arn:aws-cn:iam::111122223333:role/x", account=Account(installed=CONFIG))

    assert usage.requirements == ()
    assert "[WrongPartition]" in usage.notices[0].finding.text


def test_no_account_is_admitted_by_an_api_server_that_cannot_run_native_sidecars() -> None:
    usage = find(build_estate(), account=Account(BASE, "eu-west-1", version=(1, 28)))

    assert usage.requirements == ()
    assert list_codes(usage) == ["SubjectDenied"]


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        pytest.param("web", [], id="exists"),
        pytest.param("default", [], id="default"),
        pytest.param("*", [], id="wildcard"),
        pytest.param("wbe", ["NamedAccountMissing"], id="misspelt"),
    ],
)
def test_name_that_does_not_exist_is_reported(name: str, codes: list[str]) -> None:
    usage = find(build_estate(), ("shop", name))

    assert usage.requirements == (TrustRequirements(ROLE, frozenset([f"system:serviceaccount:shop:{name}"])),)
    assert list_codes(usage) == codes


@pytest.mark.parametrize("name", ["web", "gone"])
def test_namespace_of_a_named_account_that_is_being_deleted_is_reported_alone(name: str) -> None:
    estate = build_estate()
    estate.terminating.add("shop")

    usage = find(estate, ("shop", name))

    assert (len(usage.requirements), list_codes(usage)) == (1, ["NamedTerminating"])


@pytest.mark.parametrize(
    ("namespace", "code"),
    [
        pytest.param("shpo", "NamedNamespaceMissing", id="missing"),
        pytest.param("sh*", "NamedNotChecked", id="pattern"),
    ],
)
def test_namespace_that_cannot_be_checked_is_reported(namespace: str, code: str) -> None:
    usage = find(build_estate(), (namespace, "default"))

    assert len(usage.requirements) == 1
    assert list_codes(usage) == [code]


def test_named_account_of_an_unlabelled_namespace_is_noted_and_has_its_allow_list() -> None:
    estate = Estate()
    annotations = {"iam.amazonaws.com/allowed-roles": '["shop-*"]'}
    estate.add({"kind": "Namespace", "metadata": {"name": "shop", "annotations": annotations}})

    admitted, denied = find(estate), find(estate, role=f"{BASE}other")

    assert (len(admitted.requirements), list_codes(admitted)) == (1, ["NamedUnlabelled"])
    assert (len(denied.requirements), list_codes(denied)) == (0, ["SubjectDenied"])


def test_role_of_a_namespace_with_an_intermediate_role_trusts_that_role_alone() -> None:
    estate = build_estate({"podrole.io/intermediate-role": "first"})

    role, first = find(estate), find(estate, role=f"{BASE}first")

    assert role.requirements == (TrustRequirements(ROLE, frozenset(), frozenset([ChainedRole(f"{BASE}first")])),)
    assert first.requirements == (TrustRequirements(f"{BASE}first", frozenset([WEB])),)


@pytest.mark.parametrize(
    ("account", "annotation", "audience"),
    [
        pytest.param(ACCOUNT, {}, "sts.amazonaws.com", id="default"),
        pytest.param(Account(installed=CONFIG._replace(audience="kops")), {}, "kops", id="installed-webhook"),
        pytest.param(ACCOUNT, {"eks.amazonaws.com/audience": "own"}, "own", id="service-account"),
        pytest.param(Account(BASE, audience="x"), {"eks.amazonaws.com/audience": "own"}, "x", id="option-first"),
    ],
)
def test_audience_of_a_named_account_is_that_of_its_tokens(
    account: Account, annotation: dict[str, Any], audience: str
) -> None:
    estate = build_estate()
    estate.add({"kind": "ServiceAccount", "metadata": {"name": "web", "namespace": "shop", "annotations": annotation}})

    [required] = find(estate, account=account).requirements

    assert required.find_audience(WEB) == audience
