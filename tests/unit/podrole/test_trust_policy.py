"""`podrole trust-policy` without a cluster: prints, merges and checks policies in real files."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.podrole.conftest import Run

ISSUER = "https://oidc.eks.eu-west-1.amazonaws.com/id/ABC"
ROLE = "arn:aws:iam::111122223333:role/team/reader"
ONE = ("-n", "team-a", "-s", "web", "--issuer", ISSUER)
NODES = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/nodes"}, "Action": "sts:AssumeRole"}
MANIFESTS = """\
kind: Namespace
apiVersion: v1
metadata:
  name: far
  labels: {podrole.io/injection: enabled}
  annotations: {podrole.io/intermediate-role: intermediate}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: far, annotations: {iam.amazonaws.com/role: "arn:aws:iam::444455556666:role/far"}}
spec: {serviceAccountName: web, containers: []}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: api, namespace: near, annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::111122223333:role/near"}}
"""


def get_role(*statements: Any, arn: str = ROLE) -> str:
    document = {"Version": "2012-10-17", "Statement": [*statements]}
    return json.dumps({"Role": {"RoleName": "reader", "Arn": arn, "AssumeRolePolicyDocument": document}})


def read_subjects(policy: Any) -> Any:
    return policy["Statement"][-1]["Condition"]["StringEquals"][f"{ISSUER.removeprefix('https://')}:sub"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param((), "set ROLE, or use --all, or --check or --merge", id="no-arguments"),
        pytest.param(
            (ROLE, "-n", "team-a", "--issuer", ISSUER),
            "--namespace and --service-account must be used together",
            id="namespace-without-service-account",
        ),
        pytest.param(
            (ROLE, "-s", "web", "--issuer", ISSUER),
            "--namespace and --service-account must be used together",
            id="service-account-without-namespace",
        ),
        pytest.param((ROLE, "-n", "Team A", "-s", "web", "--issuer", ISSUER), "'Team A'", id="invalid-namespace"),
        pytest.param((ROLE, "-n", "team-a", "-s", "web:x", "--issuer", ISSUER), "'web:x'", id="invalid-account"),
        pytest.param((ROLE, *ONE[:-1], "https://"), "is not a valid issuer", id="invalid-issuer"),
        pytest.param(("reader", *ONE), "--account-id", id="role-name-without-account"),
        pytest.param(("a b", *ONE), "is not a valid role", id="invalid-role"),
        pytest.param(
            ("reader", *ONE, "--account-id", "12"), "the 12 digits of an AWS account", id="invalid-account-id"
        ),
        pytest.param(
            ("reader", *ONE, "--account-id", "1" * 12, "--base-role-arn", f"{ROLE[:31]}/"),
            "are both set",
            id="account-id-and-base-role-arn",
        ),
        pytest.param(
            ("arn:aws-cn:iam::111122223333:role/x", *ONE, "--region", "eu-west-1"),
            "in partition aws-cn",
            id="role-in-another-partition",
        ),
        pytest.param(("--all", "--merge", "-", "--issuer", ISSUER), "--merge is for one role", id="all-and-merge"),
        pytest.param((ROLE, "--all", "--issuer", ISSUER), "one of", id="role-and-all"),
        pytest.param((ROLE, "--check", "-", "--merge", "-"), "one of", id="check-and-merge"),
        pytest.param((ROLE, "--check", "nowhere.json"), "nowhere.json", id="missing-file"),
    ],
)
def test_invalid_usage_is_reported(run: Run, arguments: tuple[str, ...], problem: str) -> None:
    result = run("trust-policy", *arguments, stdin=get_role(NODES))

    assert (result.code, result.stdout) == (2, "")
    assert problem in result.stderr


def test_missing_issuer_and_unreachable_cluster_are_reported(run: Run) -> None:
    result = run("trust-policy", ROLE, *ONE[:4])

    assert (result.code, result.stdout) == (3, "")
    assert "kubeconfig" in result.stderr
    assert "--issuer" in result.stderr


@pytest.mark.parametrize("action", ["--merge", "--check"])
@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"Statement": 1}'], ids=["empty", "not-json", "list", "no-statements"]
)
def test_invalid_policy_file_is_reported_with_its_name(run: Run, action: str, text: str) -> None:
    result = run("trust-policy", ROLE, action, "-", *ONE, stdin=text)

    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: -: ")


def test_policy_of_another_role_is_not_merged(run: Run) -> None:
    result = run("trust-policy", ROLE, "--merge", "-", *ONE, stdin=get_role(NODES, arn=f"{ROLE}-2"))

    assert result.code == 2
    assert f"is the policy of role {ROLE}-2, not of {ROLE}" in result.stderr


def test_policy_is_printed_with_the_next_steps(run: Run) -> None:
    result = run("trust-policy", ROLE, *ONE)

    assert result.code == 0
    assert read_subjects(json.loads(result.stdout)) == "system:serviceaccount:team-a:web"
    assert "update-assume-role-policy --role-name reader --policy-document file://trust.json" in result.stderr
    assert "This replaces the role's existing policy." in result.stderr


@pytest.mark.parametrize(
    ("arguments", "arn"),
    [
        pytest.param(
            ("reader", "--account-id", "111122223333"), "arn:aws:iam::111122223333:oidc-provider/", id="account-id"
        ),
        pytest.param(
            ("x", "--account-id", "111122223333", "--region", "cn-north-1"),
            "arn:aws-cn:iam::111122223333:oidc-provider/",
            id="account-id-and-region",
        ),
        pytest.param(
            ("x", "--base-role-arn", "arn:aws-us-gov:iam::111122223333:role/p/"),
            "arn:aws-us-gov:iam::111122223333:oidc",
            id="base-role-arn",
        ),
        pytest.param(
            ("arn:aws-cn:iam::111122223333:role/x",), "arn:aws-cn:iam::111122223333:oidc-provider/", id="role-arn"
        ),
    ],
)
def test_provider_is_in_the_account_of_the_role(run: Run, arguments: tuple[str, ...], arn: str) -> None:
    result = run("trust-policy", *arguments, *ONE)

    assert json.loads(result.stdout)["Statement"][0]["Principal"]["Federated"].startswith(arn)


def test_wildcard_service_account_allows_the_whole_namespace(run: Run) -> None:
    result = run("trust-policy", ROLE, "-n", "team-a", "-s", "*", "--issuer", ISSUER)

    assert "StringLike" in json.loads(result.stdout)["Statement"][0]["Condition"]


def test_policy_that_exceeds_a_quota_is_reported(run: Run) -> None:
    accounts = [argument for number in range(60) for argument in ("-s", f"worker-{number}")]

    long = run("trust-policy", ROLE, "-n", "team-a", *accounts, "--issuer", ISSUER)
    longer = run("trust-policy", ROLE, "-n", "team-a" * 10, *accounts, "--issuer", ISSUER)

    assert (long.code, longer.code) == (0, 1)
    assert f"warning: {ROLE}: The policy has " in long.stderr
    assert f"problem: {ROLE}: The policy has " in longer.stderr


def test_issuer_that_aws_cannot_reach_is_reported(run: Run) -> None:
    result = run("trust-policy", ROLE, *ONE[:-1], "https://kubernetes.default.svc.cluster.local")

    assert result.code == 0
    assert "warning: The issuer https://kubernetes.default.svc.cluster.local is reachable only inside" in result.stderr


def test_output_of_get_role_is_merged_for_its_role(run: Run) -> None:
    result = run("trust-policy", "--merge", "-", *ONE, stdin=get_role(NODES))

    merged = json.loads(result.stdout)
    assert merged["Statement"][0] == NODES
    assert read_subjects(merged) == "system:serviceaccount:team-a:web"
    assert "This replaces" not in result.stderr


def test_second_merge_changes_nothing_and_keeps_the_other_statements(run: Run, tmp_path: Path) -> None:
    once = run("trust-policy", "--merge", "-", *ONE, stdin=get_role(NODES)).stdout
    (tmp_path / "trust.json").write_text(once)

    twice = run("trust-policy", ROLE, "--merge", "trust.json", *ONE).stdout

    assert twice == once
    assert NODES in json.loads(twice)["Statement"]


def test_printed_policy_passes_the_check(run: Run) -> None:
    printed = run("trust-policy", ROLE, *ONE).stdout

    result = run("trust-policy", ROLE, "--check", "-", *ONE, stdin=printed)

    assert result.code == 0
    assert "system:serviceaccount:team-a:web can assume the role." in result.stdout


def test_wrong_policy_is_reported_with_the_remedy(run: Run) -> None:
    result = run("trust-policy", "--check", "-", *ONE, stdin=get_role(NODES))

    assert result.code == 1
    assert "problem" in result.stdout
    assert "--merge FILE" in result.stdout
    assert "kube2iam" in result.stdout


def test_json_output_contains_the_findings(run: Run) -> None:
    result = run("trust-policy", "--check", "-", *ONE, "-o", "json", stdin=get_role(NODES))

    assert [finding["code"] for finding in json.loads(result.stdout)] == ["RolePrincipal", "NoWebIdentityStatement"]


def test_every_role_of_manifests_is_printed_with_its_users(run: Run, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(MANIFESTS)
    arguments = ("--all", "-f", "all.yaml", "--issuer", ISSUER, "--account-id", "111122223333")

    result = run("trust-policy", *arguments)
    entries = json.loads(run("trust-policy", *arguments, "-o", "json").stdout)["roles"]

    assert result.code == 0
    assert "arn:aws:iam::111122223333:role/near\n  used by system:serviceaccount:near:api\n" in result.stdout
    assert (
        "arn:aws:iam::444455556666:role/far\n  assumed from arn:aws:iam::111122223333:role/intermediate\n"
        in result.stdout
    )
    assert [(e["role"].rpartition("/")[2], e["subjects"], e["intermediate_roles"]) for e in entries] == [
        ("intermediate", ["system:serviceaccount:far:web"], []),
        ("near", ["system:serviceaccount:near:api"], []),
        ("far", [], ["arn:aws:iam::111122223333:role/intermediate"]),
    ]
    assert "3 roles" in result.stderr


def test_invalid_annotation_is_a_problem_and_others_are_printed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(MANIFESTS)

    result = run("trust-policy", "--all", "-f", "all.yaml", "--issuer", ISSUER)

    assert result.code == 1
    assert (
        "problem: system:serviceaccount:far:web is left out, because the webhook denies its role to Pod far/a: "
        in result.stderr
    )
    assert "annotation podrole.io/intermediate-role of the namespace" in result.stderr
    assert "role/near" in result.stdout


def test_one_role_is_printed_for_its_users(run: Run, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(MANIFESTS)
    common = ("-f", "all.yaml", "--issuer", ISSUER, "--account-id", "111122223333")

    near = run("trust-policy", "near", *common)
    far = run("trust-policy", "arn:aws:iam::444455556666:role/far", *common)
    unused = run("trust-policy", "unused", *common)

    assert read_subjects(json.loads(near.stdout)) == "system:serviceaccount:near:api"
    assert json.loads(far.stdout)["Statement"][0]["Principal"] == {"AWS": "arn:aws:iam::111122223333:role/intermediate"}
    assert "Its pods assume arn:aws:iam::111122223333:role/intermediate first" in far.stderr
    assert (unused.code, unused.stdout) == (2, "")
    assert "no annotation names the role arn:aws:iam::111122223333:role/unused" in unused.stderr


def test_users_in_manifests_are_checked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(MANIFESTS)
    common = ("-f", "all.yaml", "--issuer", ISSUER, "--account-id", "111122223333")

    result = run("trust-policy", "near", "--check", "-", *common, stdin=run("trust-policy", "near", *common).stdout)

    assert result.code == 0
    assert "system:serviceaccount:near:api can assume the role." in result.stdout


def test_policy_is_printed_without_the_kubernetes_client(run_process: Run) -> None:
    result = run_process("trust-policy", ROLE, *ONE)

    assert result.code == 0
    assert read_subjects(json.loads(result.stdout)) == "system:serviceaccount:team-a:web"


VICTIM = "arn:aws:iam::111122223333:role/payments"
CLAIMED = """\
kind: Namespace
apiVersion: v1
metadata:
  name: shop
  labels: {podrole.io/injection: enabled}
  annotations: {iam.amazonaws.com/allowed-roles: '["*payments"]'}
---
kind: ServiceAccount
apiVersion: v1
metadata: {name: payments, namespace: shop, annotations: {iam.amazonaws.com/role: payments}}
---
kind: Namespace
apiVersion: v1
metadata:
  name: evil
  labels: {podrole.io/injection: enabled}
  annotations: {iam.amazonaws.com/allowed-roles: '["evil-*"]'}
---
kind: ServiceAccount
apiVersion: v1
metadata: {name: evil, namespace: evil, annotations: {iam.amazonaws.com/role: payments}}
---
kind: Namespace
apiVersion: v1
metadata: {name: open, labels: {podrole.io/injection: enabled}}
"""
OPEN = """\
---
kind: ServiceAccount
apiVersion: v1
metadata: {name: "a%02d", namespace: open, annotations: {iam.amazonaws.com/role: payments}}
"""
FROM_MANIFESTS = ("-f", "all.yaml", "--issuer", ISSUER, "--account-id", "111122223333")


def test_account_that_the_webhook_denies_is_left_out_and_reported(run: Run) -> None:
    Path("all.yaml").write_text(CLAIMED)

    result = run("trust-policy", "--all", *FROM_MANIFESTS)
    document = json.loads(run("trust-policy", "--all", *FROM_MANIFESTS, "-o", "json").stdout)

    assert result.code == 1
    assert "evil" not in result.stdout
    assert "problem: system:serviceaccount:evil:evil is left out, because the webhook denies its role" in result.stderr
    assert f"[RoleNotAllowed] The namespace does not allow the role {VICTIM}" in result.stderr
    [entry] = document["roles"]
    assert (entry["subjects"], entry["claimed_by"]) == (["system:serviceaccount:shop:payments"], [])
    assert [finding["code"] for finding in document["findings"]] == ["SubjectDenied"]


def test_account_that_the_webhook_denies_is_not_in_the_policy_of_the_role(run: Run) -> None:
    Path("all.yaml").write_text(CLAIMED)

    result = run("trust-policy", VICTIM, *FROM_MANIFESTS)
    merged = run("trust-policy", VICTIM, "--merge", "-", *FROM_MANIFESTS, stdin=get_role(NODES, arn=VICTIM))

    assert (result.code, merged.code) == (1, 1)
    assert read_subjects(json.loads(result.stdout)) == "system:serviceaccount:shop:payments"
    assert read_subjects(json.loads(merged.stdout)) == "system:serviceaccount:shop:payments"
    assert "system:serviceaccount:evil:evil is left out" in result.stderr


def test_role_that_only_denied_accounts_name_has_no_policy(run: Run) -> None:
    Path("all.yaml").write_text(CLAIMED.replace("allowed-roles: '[\"*payments\"]'", "allowed-roles: '[]'"))

    result = run("trust-policy", VICTIM, *FROM_MANIFESTS)

    assert (result.code, result.stdout) == (2, "")
    assert "system:serviceaccount:shop:payments is left out" in result.stderr


def test_accounts_of_a_namespace_without_an_allow_list_are_marked_and_reported_up_to_ten(run: Run) -> None:
    Path("all.yaml").write_text(CLAIMED + "".join(OPEN % number for number in range(13)))

    result = run("trust-policy", "--all", *FROM_MANIFESTS)
    [entry] = json.loads(run("trust-policy", "--all", *FROM_MANIFESTS, "-o", "json").stdout)["roles"]

    assert result.stderr.count("warning: system:serviceaccount:open:a0") == 10
    assert "namespace open has no allow-list" in result.stderr
    assert "warning: And 3 more of this kind." in result.stderr
    assert "  claimed by system:serviceaccount:open:a12: no allow-list restricts its namespace" in result.stdout
    assert entry["claimed_by"] == [f"system:serviceaccount:open:a{number:02}" for number in range(13)]


def test_accounts_of_a_namespace_without_an_allow_list_can_be_left_out(run: Run) -> None:
    Path("all.yaml").write_text(CLAIMED + OPEN % 1)

    result = run("trust-policy", VICTIM, "--require-allow-list", *FROM_MANIFESTS)

    assert read_subjects(json.loads(result.stdout)) == "system:serviceaccount:shop:payments"
    assert "note: system:serviceaccount:open:a01 is left out: it claims" in result.stderr


def test_check_does_not_expect_accounts_that_the_webhook_denies(run: Run) -> None:
    Path("all.yaml").write_text(CLAIMED)
    policy = run("trust-policy", VICTIM, *FROM_MANIFESTS).stdout

    result = run("trust-policy", VICTIM, "--check", "-", *FROM_MANIFESTS, stdin=policy)

    assert result.code == 0
    assert "system:serviceaccount:shop:payments can assume the role." in result.stdout
    assert "note     system:serviceaccount:evil:evil is left out" in result.stdout


def test_check_reports_an_account_that_the_policy_trusts_and_the_webhook_denies(run: Run) -> None:
    Path("all.yaml").write_text(CLAIMED)
    earlier = run("trust-policy", VICTIM, "-n", "evil", "-s", "evil", "-s", "payments", "--issuer", ISSUER).stdout

    result = run("trust-policy", VICTIM, "--check", "-", *FROM_MANIFESTS, "-o", "json", stdin=earlier)

    assert result.code == 1
    assert "The policy trusts system:serviceaccount:evil:evil, although the webhook denies this role to it." in {
        finding["text"] for finding in json.loads(result.stdout)
    }


@pytest.mark.parametrize("place", ["namespace", "name"])
def test_wildcard_in_a_manifest_is_rejected(run: Run, place: str) -> None:
    metadata = {"name": "web", "namespace": "team-a", "annotations": {"iam.amazonaws.com/role": VICTIM}, place: "*"}
    Path("all.yaml").write_text(json.dumps({"kind": "ServiceAccount", "apiVersion": "v1", "metadata": metadata}))

    result = run("trust-policy", "--all", *FROM_MANIFESTS)

    assert (result.code, result.stdout) == (2, "")
    assert "has a wildcard in its name" in result.stderr


def test_next_steps_are_quoted_for_a_shell(run: Run) -> None:
    chained = "arn:aws:iam::111122223333:role/$(id)/first"
    Path("all.yaml").write_text(MANIFESTS.replace("intermediate-role: intermediate", f"intermediate-role: '{chained}'"))

    result = run("trust-policy", "arn:aws:iam::444455556666:role/far", *FROM_MANIFESTS)

    assert f"see podrole trust-policy '{chained}'" in result.stderr


def test_remedy_for_a_whole_namespace_is_quoted_for_a_shell(run: Run) -> None:
    policy = run("trust-policy", ROLE, *ONE).stdout

    result = run("trust-policy", ROLE, "--check", "-", "-n", "team-a", "-s", "*", "--issuer", ISSUER, stdin=policy)

    assert "--service-account '*' --merge FILE" in result.stdout


def test_audience_of_the_option_is_printed_and_checked(run: Run) -> None:
    issuer = ISSUER.removeprefix("https://")
    printed = run("trust-policy", ROLE, *ONE, "--audience", "amazonaws.com").stdout
    matching = run("trust-policy", ROLE, "--check", "-", *ONE, "--audience", "amazonaws.com", stdin=printed)
    default = run("trust-policy", ROLE, "--check", "-", *ONE, stdin=printed)

    assert json.loads(printed)["Statement"][0]["Condition"]["StringEquals"][f"{issuer}:aud"] == "amazonaws.com"
    assert matching.code == 0, matching.stdout
    assert default.code == 1
    text = " ".join(default.stdout.split())
    assert "requires the audience amazonaws.com, but the pods' tokens are for sts.amazonaws.com" in text


def test_audience_of_the_manifests_is_printed(run: Run) -> None:
    annotated = MANIFESTS.replace("annotations: {eks", "annotations: {eks.amazonaws.com/audience: amazonaws.com, eks")
    Path("all.yaml").write_text(annotated)

    printed = run("trust-policy", "--all", "-f", "all.yaml", "--issuer", ISSUER, "-o", "json").stdout

    audiences = [
        statement["Condition"]["StringEquals"][f"{ISSUER.removeprefix('https://')}:aud"]
        for entry in json.loads(printed)["roles"]
        for statement in entry["policy"]["Statement"]
        if "Federated" in statement["Principal"]
    ]
    assert audiences == ["amazonaws.com"]


def test_invalid_audience_is_a_usage_error(run: Run) -> None:
    result = run("trust-policy", ROLE, *ONE, "--audience", "https://kubernetes.default.svc")

    assert result.code == 2
    assert "not the API server's audience" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("role", "provider"),
    [
        pytest.param("arn:aws:iam:::role/x", "arn:aws:iam:::oidc-provider/", id="ceph-without-account"),
        pytest.param(
            "arn:aws:iam::RGW00889737169837717:role/x", "arn:aws:iam::RGW00889737169837717:oidc-provider/", id="ceph"
        ),
        pytest.param("arn:minio:iam:::role/x", "arn:minio:iam:::oidc-provider/", id="minio"),
    ],
)
def test_policy_of_a_store_is_printed_merged_and_checked_with_its_endpoint_only(
    run: Run, role: str, provider: str
) -> None:
    store = ("--region", "garage", "--sts-endpoint", "https://store.example.com/sts")

    refused = run("trust-policy", role, *ONE)
    printed = run("trust-policy", role, *ONE, *store)
    merged = run("trust-policy", role, "--merge", "-", *ONE[:3], "api", *ONE[4:], *store, stdin=printed.stdout)
    checked = run("trust-policy", role, "--check", "-", *ONE, *store, stdin=merged.stdout)
    strict = run("trust-policy", "--check", "-", *ONE, stdin=printed.stdout)

    assert refused.code != 0
    assert "other forms need a PODROLE_STS_ENDPOINT outside AWS" in refused.stderr
    [statement] = json.loads(merged.stdout)["Statement"]
    assert statement["Principal"] == {"Federated": provider + ISSUER.removeprefix("https://")}
    assert [one.rpartition(":")[2] for one in read_subjects({"Statement": [statement]})] == ["api", "web"]
    assert checked.code == 0, checked.stdout
    assert "not a valid ARN of an OIDC provider" in " ".join(strict.stdout.split())


@pytest.mark.parametrize("option", ["--region", "--account-id", "--base-role-arn"])
def test_setting_of_a_store_is_accepted_with_its_endpoint_only(run: Run, option: str) -> None:
    values = {"--region": "garage", "--account-id": "RGW00889737169837717", "--base-role-arn": "arn:aws:iam:::role/"}
    given = ("trust-policy", "arn:aws:iam::111122223333:role/x", *ONE, option, values[option])

    assert run(*given).code == 2
    assert run(*given, "--sts-endpoint", "https://sts.eu-west-1.amazonaws.com").code == 2
    assert run(*given, "--sts-endpoint", "https://store.example.com").code == 0
