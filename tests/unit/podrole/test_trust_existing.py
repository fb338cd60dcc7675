"""`podrole trust-policy --policies` and `--merge`: who is new in the existing policies, and who is no longer used."""

import json
from pathlib import Path
from typing import Any

import pytest

from podrole.iam.changes import build_change, find_trusted, find_unused
from podrole.iam.policies import ChainedRole, TrustRequirements, build_subject, build_trust_policy
from tests.unit.podrole.conftest import Run

HOST = "oidc.example.com"
ISSUER = f"https://{HOST}"
BASE = "arn:aws:iam::111122223333:role/"
READER, WRITER = f"{BASE}reader", f"{BASE}writer"
WEB, API, GONE = (build_subject("team-a", name) for name in ("web", "api", "gone"))
EC2 = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
MANIFESTS = """\
apiVersion: v1
kind: Namespace
metadata:
  name: team-a
  labels: {podrole.io/injection: enabled}
  annotations: {iam.amazonaws.com/allowed-roles: '["reader"]'}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: team-a, annotations: {iam.amazonaws.com/role: reader}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: api, namespace: team-a, annotations: {iam.amazonaws.com/role: reader}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: denied, namespace: team-a, annotations: {iam.amazonaws.com/role: writer}}
"""
COMMON = ("-f", "all.yaml", "--issuer", ISSUER, "--account-id", "111122223333")


def trust(*subjects: str, sid: str | None = "Irsa", **extra: Any) -> dict[str, Any]:
    """A statement for the cluster's provider."""
    values = {f"{HOST}:aud": "sts.amazonaws.com", f"{HOST}:sub": [*subjects]}
    return {
        **({"Sid": sid} if sid else {}),
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::111122223333:oidc-provider/{HOST}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": values, **extra},
    }


def build_policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [EC2, *statements]}


def require(*subjects: str, **audiences: str) -> TrustRequirements:
    return TrustRequirements(READER, frozenset(subjects), audiences=audiences)


def write_roles(**policies: dict[str, Any]) -> None:
    roles = [{"Arn": f"{BASE}{name}", "AssumeRolePolicyDocument": policy} for name, policy in policies.items()]
    Path("roles.json").write_text(json.dumps({"Roles": roles}))


@pytest.mark.parametrize(
    ("statements", "new", "present"),
    [
        pytest.param([], [WEB], [], id="no-web-identity"),
        pytest.param([trust(API)], [WEB], [], id="another-account"),
        pytest.param([trust(WEB)], [], [WEB], id="statement-of-another-tool"),
        pytest.param([trust(WEB, API)], [], [WEB], id="one-of-several"),
        pytest.param([trust(API, StringLike={f"{HOST}:sub": "*"})], [WEB], [], id="both-conditions-must-hold"),
        pytest.param(
            [trust(WEB, IpAddress={"aws:SourceIp": "10.0.0.0/8"})], [WEB], [], id="condition-that-podrole-cannot-check"
        ),
        pytest.param([trust(WEB) | {"Effect": "Deny"}], [WEB], [], id="denied"),
        pytest.param([trust(WEB) | {"Action": "sts:AssumeRole"}], [WEB], [], id="another-action"),
        pytest.param(
            [json.loads(json.dumps(trust(WEB)).replace(HOST, "other.example.com"))], [WEB], [], id="another-issuer"
        ),
        pytest.param(
            [json.loads(json.dumps(trust(WEB)).replace("sts.amazonaws", "vault"))], [WEB], [], id="another-audience"
        ),
    ],
)
def test_subject_is_new_unless_a_statement_already_trusts_it(
    statements: list[dict[str, Any]], new: list[str], present: list[str]
) -> None:
    existing = build_policy(*statements)

    change = build_change(require(WEB), HOST, existing)

    assert ([*change.new], [*change.present]) == (new, present)
    assert change.is_needed == bool(new)
    assert change.policy["Statement"][: len(existing["Statement"])] == existing["Statement"]
    assert build_change(require(WEB), HOST, change.policy).policy == change.policy


def test_new_subject_is_added_to_the_statement_of_podrole() -> None:
    existing = build_trust_policy(require(WEB), HOST)

    change = build_change(require(WEB, API), HOST, existing)

    assert ([*change.new], [*change.present]) == ([API], [WEB])
    assert change.policy == build_trust_policy(require(WEB, API), HOST)


@pytest.mark.parametrize(
    ("pattern", "operator", "new"),
    [
        pytest.param("system:serviceaccount:team-a:*", "StringLike", [], id="pattern"),
        pytest.param(
            "system:serviceaccount:team-a:*", "StringEquals", [build_subject("team-a", "*")], id="literal-asterisk"
        ),
    ],
)
def test_whole_namespace_is_trusted_only_by_a_pattern(pattern: str, operator: str, new: list[str]) -> None:
    statement = trust(WEB)
    statement["Condition"] = {operator: {f"{HOST}:sub": pattern}}

    assert [*build_change(require(build_subject("team-a", "*")), HOST, build_policy(statement)).new] == new


def test_intermediate_role_is_new_until_its_statement_is_there() -> None:
    required = TrustRequirements(READER, chained_roles=frozenset([ChainedRole(WRITER)]))

    first = build_change(required, HOST, build_policy())
    second = build_change(required, HOST, first.policy)

    assert ([*first.new], [*second.new], [*second.present]) == ([WRITER], [], [WRITER])
    assert second.policy == first.policy


def test_subjects_that_nobody_uses_are_found_for_this_issuer_only() -> None:
    other = json.loads(json.dumps(trust(GONE)).replace(HOST, "other.example.com"))
    like = trust(WEB)
    like["Condition"] = {
        "StringLike": {f"{HOST}:SUB": ["system:serviceaccount:team-a:w*", "system:serviceaccount:old:*"]}
    }
    policy = build_policy(trust(WEB, GONE), other, like)

    assert find_unused(policy, READER, HOST, {WEB}, ()) == [build_subject("old", "*"), GONE]
    assert find_unused(policy, READER, HOST, {WEB}, ["team-a"]) == [GONE]
    assert find_trusted(policy, READER, HOST, [WEB, API]) == [WEB]


def test_all_roles_are_compared_with_their_policies(run: Run) -> None:
    Path("all.yaml").write_text(MANIFESTS)
    denied = build_subject("team-a", "denied")
    write_roles(reader=build_policy(trust(WEB, GONE)), writer=build_policy(trust(denied, GONE)), x=build_policy())

    result = run("trust-policy", "--all", "--policies", "roles.json", *COMMON)
    document = json.loads(run("trust-policy", "--all", "--policies", "roles.json", *COMMON, "-o", "json").stdout)

    assert result.code == 1
    assert (
        f"  used by {API} (new)\n  used by {WEB} (already trusted)\n  trusted and not used: {GONE}\n" in result.stdout
    )
    assert f"warning: The existing policy of {WRITER} trusts {denied}, although the webhook denies" in result.stderr
    for role in (READER, WRITER):
        assert f"note: The existing policy of {role} trusts {GONE}, but nothing in the manifests" in result.stderr
    [entry] = document["roles"]
    assert entry["changes"] == {"is_needed": True, "new": [API], "present": [WEB], "unused": [GONE]}
    assert [one.get("Sid") for one in entry["policy"]["Statement"]] == [None, "Irsa", "Podrole"]


def test_account_that_is_left_out_for_its_namespace_is_not_called_unused(run: Run) -> None:
    Path("all.yaml").write_text(MANIFESTS.replace("injection: enabled", "injection: disabled"))
    write_roles(reader=build_policy(trust(WEB)))

    result = run("trust-policy", "--all", "--policies", "roles.json", *COMMON)

    assert "SubjectUnlabelled" not in result.stdout
    assert f"note: {WEB} is left out" in result.stderr
    assert "but nothing" not in result.stderr


def test_named_accounts_say_nothing_about_others(run: Run) -> None:
    Path("all.yaml").write_text(MANIFESTS)
    write_roles(reader=build_policy(trust(GONE)))

    result = run("trust-policy", "reader", "-n", "team-a", "-s", "web", "--policies", "roles.json", *COMMON)

    assert result.code == 0
    assert f"  used by {WEB} (new)\n" in result.stderr
    assert GONE not in result.stderr
    assert "This replaces" not in result.stderr


def test_merge_reports_who_is_new(run: Run) -> None:
    Path("all.yaml").write_text(MANIFESTS)

    result = run("trust-policy", "reader", "--merge", "-", *COMMON, stdin=json.dumps(build_policy(trust(WEB, GONE))))

    assert (
        f"  used by {API} (new)\n  used by {WEB} (already trusted)\n  trusted and not used: {GONE}\n" in result.stderr
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        pytest.param("other", "", id="unknown"),
        pytest.param("Reader", f" It has {BASE}Reader: check the path", id="another-case"),
        pytest.param("team/Reader", f" It has {BASE}team/Reader: check the path", id="another-path"),
    ],
)
def test_role_whose_policy_is_not_given_is_reported(run: Run, name: str, hint: str) -> None:
    Path("all.yaml").write_text(MANIFESTS)
    write_roles(**{name: build_policy(trust(GONE))})

    one = run("trust-policy", "reader", "--policies", "roles.json", *COMMON)
    every = run("trust-policy", "--all", "--policies", "roles.json", *COMMON)

    for result in (one, every):
        assert f"warning: --policies has no policy of {READER}, so its new one would replace" in result.stderr
        assert hint in result.stderr
    assert GONE not in one.stderr


@pytest.mark.parametrize("action", ["--merge", "--check"])
@pytest.mark.parametrize("file", ["-", "/dev/zero"])
def test_policy_of_a_megabyte_is_refused(run: Run, action: str, file: str) -> None:
    result = run("trust-policy", READER, action, file, "-n", "a", "-s", "b", "--issuer", ISSUER, stdin="x" * 2_000_000)

    assert (result.code, result.stdout) == (2, "")
    assert f"{file} has more than 1048576 bytes" in result.stderr


def test_incomplete_policies_are_an_error(run: Run) -> None:
    Path("all.yaml").write_text(MANIFESTS)
    Path("existing").mkdir()
    for number in range(7):
        Path(f"existing/role-{number}.json").touch()

    result = run("trust-policy", "--all", "--policies", "existing", *COMMON)

    assert (result.code, result.stdout) == (2, "")
    assert "role-0.json: the file is empty: the command that wrote it failed" in result.stderr
    assert result.stderr.endswith("and 2 more\n")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(
            (READER, "--merge", "-", "--policies", "."), "--policies is for --all or ROLE", id="merge-and-policies"
        ),
        pytest.param(
            (READER, "--check", "-", "--policies", "."), "--policies is for --all or ROLE", id="check-and-policies"
        ),
        pytest.param((READER, "--check", "-", "--out", "x"), "--check only reads one", id="check-and-out"),
        pytest.param(("--all", "-n", "a", "-s", "b"), "with --all use --namespace alone", id="all-and-account"),
        pytest.param((READER, "-n", "a", "-n", "b", "-s", "c"), "belongs to one --namespace", id="two-namespaces"),
    ],
)
def test_options_that_exclude_each_other_are_refused(run: Run, arguments: tuple[str, ...], problem: str) -> None:
    result = run("trust-policy", *arguments, "--issuer", ISSUER)

    assert (result.code, result.stdout) == (2, "")
    assert problem in " ".join(result.stderr.split())
