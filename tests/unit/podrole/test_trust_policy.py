"""`podrole trust-policy`, offline: printed, merged and checked on real files."""

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
metadata: {name: far, annotations: {podrole.io/intermediate-role: hop}}
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


def subjects_of(policy: Any) -> Any:
    return policy["Statement"][-1]["Condition"]["StringEquals"][f"{ISSUER.removeprefix('https://')}:sub"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "name a ROLE, or give --all, --check or --merge"),
        ((ROLE, "-n", "team-a", "--issuer", ISSUER), "--namespace and --service-account belong together"),
        ((ROLE, "-s", "web", "--issuer", ISSUER), "--namespace and --service-account belong together"),
        ((ROLE, "-n", "Team A", "-s", "web", "--issuer", ISSUER), "'Team A'"),
        ((ROLE, "-n", "team-a", "-s", "web:x", "--issuer", ISSUER), "'web:x'"),
        ((ROLE, *ONE[:-1], "https://"), "is no issuer"),
        (("reader", *ONE), "--account-id"),
        (("a b", *ONE), "is not a valid role"),
        (("reader", *ONE, "--account-id", "12"), "the 12 digits of an AWS account"),
        (("reader", *ONE, "--account-id", "1" * 12, "--base-role-arn", f"{ROLE[:31]}/"), "are both set"),
        (("arn:aws-cn:iam::111122223333:role/x", *ONE, "--region", "eu-west-1"), "in partition aws-cn"),
        (("--all", "--merge", "-", "--issuer", ISSUER), "--merge is for one role"),
        ((ROLE, "--all", "--issuer", ISSUER), "one of"),
        ((ROLE, "--check", "-", "--merge", "-"), "one of"),
        ((ROLE, "--check", "nowhere.json"), "nowhere.json"),
    ],
)
def test_wrong_usage_is_told(run: Run, arguments: tuple[str, ...], problem: str) -> None:
    result = run("trust-policy", *arguments, stdin=get_role(NODES))

    assert (result.code, result.stdout) == (2, "")
    assert problem in result.stderr


def test_without_a_cluster_and_without_an_issuer_the_cluster_is_said_to_be_missing(run: Run) -> None:
    result = run("trust-policy", ROLE, *ONE[:4])

    assert (result.code, result.stdout) == (3, "")
    assert "kubeconfig" in result.stderr
    assert "--issuer" in result.stderr


@pytest.mark.parametrize("action", ["--merge", "--check"])
@pytest.mark.parametrize("text", ["", "{", "[]", '{"Statement": 1}'])
def test_a_file_that_is_no_policy_is_named(run: Run, action: str, text: str) -> None:
    result = run("trust-policy", ROLE, action, "-", *ONE, stdin=text)

    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: -: ")


def test_a_policy_of_another_role_is_not_merged(run: Run) -> None:
    result = run("trust-policy", ROLE, "--merge", "-", *ONE, stdin=get_role(NODES, arn=f"{ROLE}-2"))

    assert result.code == 2
    assert f"is of the role {ROLE}-2, and not of {ROLE}" in result.stderr


def test_a_printed_policy_is_a_document_for_the_aws_cli_and_the_next_step_is_told(run: Run) -> None:
    result = run("trust-policy", ROLE, *ONE)

    assert result.code == 0
    assert subjects_of(json.loads(result.stdout)) == "system:serviceaccount:team-a:web"
    assert "update-assume-role-policy --role-name reader --policy-document file://trust.json" in result.stderr
    assert "This replaces the policy that the role has." in result.stderr


@pytest.mark.parametrize(
    ("arguments", "arn"),
    [
        (("reader", "--account-id", "111122223333"), "arn:aws:iam::111122223333:oidc-provider/"),
        (
            ("x", "--account-id", "111122223333", "--region", "cn-north-1"),
            "arn:aws-cn:iam::111122223333:oidc-provider/",
        ),
        (("x", "--base-role-arn", "arn:aws-us-gov:iam::111122223333:role/p/"), "arn:aws-us-gov:iam::111122223333:oidc"),
        (("arn:aws-cn:iam::111122223333:role/x",), "arn:aws-cn:iam::111122223333:oidc-provider/"),
    ],
)
def test_the_provider_is_where_the_role_is(run: Run, arguments: tuple[str, ...], arn: str) -> None:
    result = run("trust-policy", *arguments, *ONE)

    assert json.loads(result.stdout)["Statement"][0]["Principal"]["Federated"].startswith(arn)


def test_a_whole_namespace_is_only_trusted_where_it_was_asked_for(run: Run) -> None:
    result = run("trust-policy", ROLE, "-n", "team-a", "-s", "*", "--issuer", ISSUER)

    assert "StringLike" in json.loads(result.stdout)["Statement"][0]["Condition"]


def test_a_policy_that_is_too_long_is_said_to_be(run: Run) -> None:
    accounts = [argument for number in range(60) for argument in ("-s", f"worker-{number}")]

    long = run("trust-policy", ROLE, "-n", "team-a", *accounts, "--issuer", ISSUER)
    longer = run("trust-policy", ROLE, "-n", "team-a" * 10, *accounts, "--issuer", ISSUER)

    assert (long.code, longer.code) == (0, 1)
    assert "warning: The policy has " in long.stderr
    assert "problem: The policy has " in longer.stderr


def test_an_issuer_that_aws_cannot_reach_is_said(run: Run) -> None:
    result = run("trust-policy", ROLE, *ONE[:-1], "https://kubernetes.default.svc.cluster.local")

    assert result.code == 0
    assert "warning: The issuer https://kubernetes.default.svc.cluster.local is only known inside" in result.stderr


def test_what_get_role_prints_is_merged_for_the_role_that_it_names(run: Run) -> None:
    result = run("trust-policy", "--merge", "-", *ONE, stdin=get_role(NODES))

    merged = json.loads(result.stdout)
    assert merged["Statement"][0] == NODES
    assert subjects_of(merged) == "system:serviceaccount:team-a:web"
    assert "This replaces" not in result.stderr


def test_merging_again_is_no_change_and_the_way_back_is_still_in_it(run: Run, tmp_path: Path) -> None:
    once = run("trust-policy", "--merge", "-", *ONE, stdin=get_role(NODES)).stdout
    (tmp_path / "trust.json").write_text(once)

    twice = run("trust-policy", ROLE, "--merge", "trust.json", *ONE).stdout

    assert twice == once
    assert NODES in json.loads(twice)["Statement"]


def test_what_was_printed_passes_the_check(run: Run) -> None:
    printed = run("trust-policy", ROLE, *ONE).stdout

    result = run("trust-policy", ROLE, "--check", "-", *ONE, stdin=printed)

    assert result.code == 0
    assert "system:serviceaccount:team-a:web can assume the role." in result.stdout


def test_a_policy_that_is_wrong_is_told_with_what_to_do(run: Run) -> None:
    result = run("trust-policy", "--check", "-", *ONE, stdin=get_role(NODES))

    assert result.code == 1
    assert "problem" in result.stdout
    assert "--merge FILE" in result.stdout
    assert "kube2iam" in result.stdout


def test_a_program_gets_the_findings(run: Run) -> None:
    result = run("trust-policy", "--check", "-", *ONE, "-o", "json", stdin=get_role(NODES))

    assert [finding["code"] for finding in json.loads(result.stdout)] == ["OtherRole", "NoWebIdentity"]


def test_every_role_of_manifests_is_printed_with_its_users(run: Run, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(MANIFESTS)
    arguments = ("--all", "-f", "all.yaml", "--issuer", ISSUER, "--account-id", "111122223333")

    result = run("trust-policy", *arguments)
    entries = json.loads(run("trust-policy", *arguments, "-o", "json").stdout)

    assert result.code == 0
    assert "arn:aws:iam::111122223333:role/near\n  used by system:serviceaccount:near:api\n" in result.stdout
    assert "arn:aws:iam::444455556666:role/far\n  assumed through arn:aws:iam::111122223333:role/hop\n" in result.stdout
    assert [(e["role"].rpartition("/")[2], e["subjects"], e["through"]) for e in entries] == [
        ("hop", ["system:serviceaccount:far:web"], []),
        ("near", ["system:serviceaccount:near:api"], []),
        ("far", [], ["arn:aws:iam::111122223333:role/hop"]),
    ]
    assert "3 roles" in result.stderr


def test_an_annotation_that_names_no_role_is_a_problem_beside_the_others(run: Run, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(MANIFESTS)

    result = run("trust-policy", "--all", "-f", "all.yaml", "--issuer", ISSUER)

    assert result.code == 1
    assert "problem: annotation podrole.io/intermediate-role of namespace far" in result.stderr
    assert "role/near" in result.stdout


def test_one_role_is_printed_for_those_who_use_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(MANIFESTS)
    common = ("-f", "all.yaml", "--issuer", ISSUER, "--account-id", "111122223333")

    near = run("trust-policy", "near", *common)
    far = run("trust-policy", "arn:aws:iam::444455556666:role/far", *common)
    nobody = run("trust-policy", "nobody", *common)

    assert subjects_of(json.loads(near.stdout)) == "system:serviceaccount:near:api"
    assert json.loads(far.stdout)["Statement"][0]["Principal"] == {"AWS": "arn:aws:iam::111122223333:role/hop"}
    assert "Its pods assume arn:aws:iam::111122223333:role/hop first" in far.stderr
    assert (nobody.code, nobody.stdout) == (2, "")
    assert "nothing names the role arn:aws:iam::111122223333:role/nobody" in nobody.stderr


def test_the_users_that_manifests_name_are_checked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(MANIFESTS)
    common = ("-f", "all.yaml", "--issuer", ISSUER, "--account-id", "111122223333")

    result = run("trust-policy", "near", "--check", "-", *common, stdin=run("trust-policy", "near", *common).stdout)

    assert result.code == 0
    assert "system:serviceaccount:near:api can assume the role." in result.stdout


def test_the_console_script_prints_a_policy_without_the_kubernetes_client(run_process: Run) -> None:
    result = run_process("trust-policy", ROLE, *ONE)

    assert result.code == 0
    assert subjects_of(json.loads(result.stdout)) == "system:serviceaccount:team-a:web"
