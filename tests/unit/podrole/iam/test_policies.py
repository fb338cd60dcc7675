"""Trust policies, built and merged."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from podrole.iam.documents import PolicyError, count_characters, parse_oidc_provider, parse_policy
from podrole.iam.policies import (
    ChainedRole,
    TrustRequirements,
    build_statements,
    build_subject,
    build_trust_policy,
    find_provider,
    merge,
    parse_issuer,
    parse_provider,
)

ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/ABC"
ROLE = "arn:aws:iam::111122223333:role/team/reader"
HOP = "arn:aws:iam::111122223333:role/hop"
PROVIDER = f"arn:aws:iam::111122223333:oidc-provider/{ISSUER}"
WEB = build_subject("team-a", "web")
API = build_subject("team-a", "api")
NODES = {
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111122223333:role/nodes"},
    "Action": "sts:AssumeRole",
}
EC2 = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


def needs(*subjects: str, chained_roles: tuple[ChainedRole, ...] = ()) -> TrustRequirements:
    return TrustRequirements(ROLE, frozenset(subjects), frozenset(chained_roles))


@pytest.mark.parametrize("url", ["", "https://", "https://a b", "/path", "https://host?x=1", "https://ho\tst"])
def test_what_is_no_issuer_is_refused(url: str) -> None:
    with pytest.raises(PolicyError, match="is no issuer"):
        parse_issuer(url)


@pytest.mark.parametrize("arn", ["", "reader", "arn:aws:iam::1:role/reader", "arn:aws:iam::111122223333:user/reader"])
def test_what_is_no_role_has_no_provider(arn: str) -> None:
    with pytest.raises(PolicyError, match="is no ARN of a role"):
        find_provider(arn, ISSUER)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is no JSON"),
        ("{", "it is no JSON"),
        ("[]", "it has no Statement"),
        ("{}", "it has no Statement"),
        ('{"Role": {"Arn": "x"}}', "it has no Statement"),
        ('{"Roles": []}', "it has no Statement"),
        ('{"AssumeRolePolicyDocument": "%7"}', "it is no JSON"),
        ('{"AssumeRolePolicyDocument": null}', "it has no Statement"),
    ],
)
def test_what_is_no_policy_is_refused(text: str, problem: str) -> None:
    with pytest.raises(PolicyError, match=problem):
        parse_policy(text)


def test_a_policy_whose_statements_are_none_cannot_be_merged() -> None:
    with pytest.raises(PolicyError, match="must be a list of objects"):
        merge({"Statement": ["x"]}, [])


def test_an_issuer_is_named_without_its_scheme_and_with_its_last_slash() -> None:
    assert parse_issuer(f"https://{ISSUER}") == ISSUER
    assert parse_issuer(" https://tenant.example.com/ ") == "tenant.example.com/"


def test_the_provider_is_in_the_roles_own_account_and_partition() -> None:
    provider = find_provider("arn:aws-cn:iam::444455556666:role/x", "oidc.example.com")

    assert provider.arn == "arn:aws-cn:iam::444455556666:oidc-provider/oidc.example.com"
    assert parse_provider(provider.arn) == provider
    assert parse_provider("arn:aws:iam::111122223333:saml-provider/x") is None


def test_one_account_is_trusted_by_its_name() -> None:
    assert build_trust_policy(needs(WEB), ISSUER) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Podrole",
                "Effect": "Allow",
                "Principal": {"Federated": PROVIDER},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com", f"{ISSUER}:sub": WEB}},
            }
        ],
    }


def test_several_accounts_are_a_list_under_equals() -> None:
    [statement] = build_statements(needs(WEB, API), ISSUER)

    assert statement["Condition"]["StringEquals"][f"{ISSUER}:sub"] == [API, WEB]


def test_only_a_wildcard_that_was_asked_for_is_compared_as_one() -> None:
    [statement] = build_statements(needs(WEB, build_subject("team-b", "*")), ISSUER)

    assert statement["Condition"] == {
        "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"},
        "StringLike": {f"{ISSUER}:sub": [WEB, "system:serviceaccount:team-b:*"]},
    }


def test_a_hop_is_trusted_as_a_role_with_what_its_sessions_bring() -> None:
    chained_roles = (ChainedRole(HOP), ChainedRole(HOP, "id-1"), ChainedRole(HOP, has_tags=True))

    policy = build_trust_policy(needs(chained_roles=chained_roles), ISSUER)

    assert [(s["Sid"], s["Principal"], s["Action"], s.get("Condition")) for s in policy["Statement"]] == [
        ("PodroleAssumeThrough", {"AWS": HOP}, "sts:AssumeRole", None),
        ("PodroleAssumeThrough2", {"AWS": HOP}, ["sts:AssumeRole", "sts:TagSession"], None),
        ("PodroleAssumeThrough3", {"AWS": HOP}, "sts:AssumeRole", {"StringEquals": {"sts:ExternalId": "id-1"}}),
    ]


def test_a_merge_keeps_all_that_is_there() -> None:
    present = {"Version": "2008-10-17", "Id": "mine", "Statement": [NODES, EC2]}

    merged = merge(present, build_statements(needs(WEB), ISSUER))

    assert merged == {**present, "Statement": [NODES, EC2, *build_statements(needs(WEB), ISSUER)]}


def test_a_single_statement_without_a_list_is_kept_too() -> None:
    merged = merge({"Statement": NODES}, build_statements(needs(WEB), ISSUER))

    assert merged["Statement"][0] == NODES
    assert len(merged["Statement"]) == 2


def test_merging_twice_changes_nothing() -> None:
    statements = build_statements(needs(WEB, chained_roles=(ChainedRole(HOP, "x"), ChainedRole(HOP))), ISSUER)

    once = merge({"Statement": [NODES]}, statements)

    assert merge(once, statements) == once


def test_another_account_joins_the_statement_that_is_ours() -> None:
    once = merge({"Statement": [NODES]}, build_statements(needs(WEB), ISSUER))

    twice = merge(once, build_statements(needs(API), ISSUER))

    assert twice["Statement"] == [NODES, *build_statements(needs(WEB, API), ISSUER)]


def test_another_cluster_gets_a_statement_of_its_own() -> None:
    once = merge({"Statement": []}, build_statements(needs(WEB), ISSUER))

    twice = merge(once, build_statements(needs(WEB), "other.example.com"))

    assert [statement["Sid"] for statement in twice["Statement"]] == ["Podrole", "Podrole2"]
    assert merge(twice, build_statements(needs(WEB), "other.example.com")) == twice


def test_a_statement_of_ours_that_somebody_tightened_is_not_touched() -> None:
    [ours] = build_statements(needs(WEB), ISSUER)
    tightened = {**ours, "Condition": {**ours["Condition"], "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}

    merged = merge({"Statement": [tightened]}, build_statements(needs(API), ISSUER))

    assert merged["Statement"][0] == tightened
    assert merged["Statement"][1]["Sid"] == "Podrole2"


@pytest.mark.parametrize("sid", ["Irsa", None])
def test_the_same_statement_of_somebody_else_is_not_repeated(sid: str | None) -> None:
    [ours] = build_statements(needs(WEB, API), ISSUER)
    theirs: dict[str, Any] = {**ours, "Action": [ours["Action"]]}
    theirs.pop("Sid")
    theirs |= {"Sid": sid} if sid else {}
    theirs["Condition"]["StringEquals"][f"{ISSUER}:sub"] = [WEB, API]

    assert merge({"Statement": [theirs]}, build_statements(needs(WEB, API), ISSUER))["Statement"] == [theirs]


def test_a_statement_of_somebody_else_is_never_extended() -> None:
    [theirs] = build_statements(needs(WEB), ISSUER)
    theirs["Sid"] = "Irsa"

    merged = merge({"Statement": [theirs]}, build_statements(needs(API), ISSUER))

    assert merged["Statement"] == [theirs, *build_statements(needs(API), ISSUER)]


def test_a_policy_is_taken_in_every_form_in_which_aws_prints_it() -> None:
    policy = build_trust_policy(needs(WEB), ISSUER)
    text = json.dumps(policy)
    role = {"Arn": ROLE, "AssumeRolePolicyDocument": policy}

    assert parse_policy(text) == (policy, None)
    assert parse_policy("\ufeff" + text) == (policy, None)
    assert parse_policy(quote(text)) == (policy, None)
    assert parse_policy(json.dumps(role)) == (policy, ROLE)
    assert parse_policy(json.dumps({"Role": role})) == (policy, ROLE)
    assert parse_policy(json.dumps({"Role": {**role, "AssumeRolePolicyDocument": quote(text)}})) == (policy, ROLE)


def test_a_provider_is_told_from_a_policy() -> None:
    assert parse_oidc_provider('{"ClientIDList": []}') == {"ClientIDList": []}
    assert parse_oidc_provider('{"Statement": []}') is None


def test_white_space_does_not_count() -> None:
    assert count_characters({"a": [1, 2]}) == len('{"a":[1,2]}')
