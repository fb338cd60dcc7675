"""Trust policies: parsed, built and merged."""

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
INTERMEDIATE = "arn:aws:iam::111122223333:role/intermediate"
PROVIDER = f"arn:aws:iam::111122223333:oidc-provider/{ISSUER}"
WEB = build_subject("team-a", "web")
API = build_subject("team-a", "api")
NODES = {
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111122223333:role/nodes"},
    "Action": "sts:AssumeRole",
}
EC2 = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


def require(*subjects: str, chained_roles: tuple[ChainedRole, ...] = ()) -> TrustRequirements:
    return TrustRequirements(ROLE, frozenset(subjects), frozenset(chained_roles))


@pytest.mark.parametrize(
    "url", ["", "https://", "https://a b", "/path", "https://host?x=1", "https://ho\tst"], ids=repr
)
def test_invalid_issuer_is_rejected(url: str) -> None:
    with pytest.raises(PolicyError, match="is not a valid issuer"):
        parse_issuer(url)


@pytest.mark.parametrize("arn", ["", "reader", "arn:aws:iam::1:role/reader", "arn:aws:iam::111122223333:user/reader"])
def test_invalid_role_arn_is_rejected(arn: str) -> None:
    with pytest.raises(PolicyError, match="is not a valid ARN of a role"):
        find_provider(arn, ISSUER)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not valid JSON: it is empty, so the command that wrote it failed"),
        ("{", "not valid JSON"),
        ("[]", "it has no Statement"),
        ("{}", "it has no Statement"),
        ('{"Role": {"Arn": "x"}}', "it has no Statement"),
        ('{"Roles": []}', "it has no Statement"),
        ('{"AssumeRolePolicyDocument": "%7"}', "not valid JSON"),
        ('{"AssumeRolePolicyDocument": null}', "it has no Statement"),
    ],
)
def test_invalid_policy_is_rejected(text: str, problem: str) -> None:
    with pytest.raises(PolicyError, match=problem):
        parse_policy(text)


def test_policy_with_invalid_statements_cannot_be_merged() -> None:
    with pytest.raises(PolicyError, match="must be a list of objects"):
        merge({"Statement": ["x"]}, [])


def test_issuer_has_no_scheme_and_keeps_a_slash_at_the_end() -> None:
    assert parse_issuer(f"https://{ISSUER}") == ISSUER
    assert parse_issuer(" https://tenant.example.com/ ") == "tenant.example.com/"


def test_provider_is_in_the_account_and_partition_of_the_role() -> None:
    provider = find_provider("arn:aws-cn:iam::444455556666:role/x", "oidc.example.com")

    assert provider.arn == "arn:aws-cn:iam::444455556666:oidc-provider/oidc.example.com"
    assert parse_provider(provider.arn) == provider
    assert parse_provider("arn:aws:iam::111122223333:saml-provider/x") is None


def test_one_service_account_is_a_string_under_string_equals() -> None:
    assert build_trust_policy(require(WEB), ISSUER) == {
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


def test_each_audience_has_a_statement_of_its_own() -> None:
    requirements = TrustRequirements(ROLE, frozenset([WEB, API]), audiences={API: "amazonaws.com"})

    policy = build_trust_policy(requirements, ISSUER)

    conditions = [(one["Sid"], one["Condition"]["StringEquals"]) for one in policy["Statement"]]
    assert conditions == [
        ("Podrole", {f"{ISSUER}:aud": "amazonaws.com", f"{ISSUER}:sub": API}),
        ("Podrole2", {f"{ISSUER}:aud": "sts.amazonaws.com", f"{ISSUER}:sub": WEB}),
    ]


def test_merge_extends_only_the_statement_with_the_same_audience() -> None:
    policy = build_trust_policy(
        TrustRequirements(ROLE, frozenset([WEB, API]), audiences={API: "amazonaws.com"}), ISSUER
    )
    other = build_subject("team-b", "web")
    added = build_statements(TrustRequirements(ROLE, frozenset([other]), audiences={other: "amazonaws.com"}), ISSUER)

    merged = merge(policy, added)

    subjects = [one["Condition"]["StringEquals"][f"{ISSUER}:sub"] for one in merged["Statement"]]
    assert subjects == [sorted([API, other]), WEB]
    assert merge(merged, added) == merged


def test_several_service_accounts_are_a_list_under_string_equals() -> None:
    [statement] = build_statements(require(WEB, API), ISSUER)

    assert statement["Condition"]["StringEquals"][f"{ISSUER}:sub"] == [API, WEB]


def test_requested_wildcard_uses_string_like() -> None:
    [statement] = build_statements(require(WEB, build_subject("team-b", "*")), ISSUER)

    assert statement["Condition"] == {
        "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"},
        "StringLike": {f"{ISSUER}:sub": [WEB, "system:serviceaccount:team-b:*"]},
    }


def test_intermediate_role_is_allowed_with_external_id_and_session_tags() -> None:
    chained_roles = (
        ChainedRole(INTERMEDIATE),
        ChainedRole(INTERMEDIATE, "id-1"),
        ChainedRole(INTERMEDIATE, has_tags=True),
    )

    policy = build_trust_policy(require(chained_roles=chained_roles), ISSUER)

    assert [(s["Sid"], s["Principal"], s["Action"], s.get("Condition")) for s in policy["Statement"]] == [
        ("PodroleIntermediateRole", {"AWS": INTERMEDIATE}, "sts:AssumeRole", None),
        ("PodroleIntermediateRole2", {"AWS": INTERMEDIATE}, ["sts:AssumeRole", "sts:TagSession"], None),
        (
            "PodroleIntermediateRole3",
            {"AWS": INTERMEDIATE},
            "sts:AssumeRole",
            {"StringEquals": {"sts:ExternalId": "id-1"}},
        ),
    ]


def test_merge_keeps_the_existing_policy() -> None:
    existing = {"Version": "2008-10-17", "Id": "mine", "Statement": [NODES, EC2]}

    merged = merge(existing, build_statements(require(WEB), ISSUER))

    assert merged == {**existing, "Statement": [NODES, EC2, *build_statements(require(WEB), ISSUER)]}


def test_merge_keeps_a_single_statement_without_a_list() -> None:
    merged = merge({"Statement": NODES}, build_statements(require(WEB), ISSUER))

    assert merged["Statement"][0] == NODES
    assert len(merged["Statement"]) == 2


def test_merging_twice_changes_nothing() -> None:
    statements = build_statements(
        require(WEB, chained_roles=(ChainedRole(INTERMEDIATE, "x"), ChainedRole(INTERMEDIATE))), ISSUER
    )

    once = merge({"Statement": [NODES]}, statements)

    assert merge(once, statements) == once


def test_merge_adds_a_service_account_to_the_existing_statement() -> None:
    once = merge({"Statement": [NODES]}, build_statements(require(WEB), ISSUER))

    twice = merge(once, build_statements(require(API), ISSUER))

    assert twice["Statement"] == [NODES, *build_statements(require(WEB, API), ISSUER)]


def test_merge_adds_a_statement_for_another_cluster() -> None:
    once = merge({"Statement": []}, build_statements(require(WEB), ISSUER))

    twice = merge(once, build_statements(require(WEB), "other.example.com"))

    assert [statement["Sid"] for statement in twice["Statement"]] == ["Podrole", "Podrole2"]
    assert merge(twice, build_statements(require(WEB), "other.example.com")) == twice


def test_merge_does_not_change_an_edited_statement() -> None:
    [statement] = build_statements(require(WEB), ISSUER)
    edited = {**statement, "Condition": {**statement["Condition"], "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}

    merged = merge({"Statement": [edited]}, build_statements(require(API), ISSUER))

    assert merged["Statement"][0] == edited
    assert merged["Statement"][1]["Sid"] == "Podrole2"


@pytest.mark.parametrize("sid", ["Irsa", None])
def test_merge_does_not_repeat_an_equivalent_statement(sid: str | None) -> None:
    [statement] = build_statements(require(WEB, API), ISSUER)
    other: dict[str, Any] = {**statement, "Action": [statement["Action"]]}
    other.pop("Sid")
    other |= {"Sid": sid} if sid else {}
    other["Condition"]["StringEquals"][f"{ISSUER}:sub"] = [WEB, API]

    assert merge({"Statement": [other]}, build_statements(require(WEB, API), ISSUER))["Statement"] == [other]


def test_merge_does_not_extend_a_statement_of_another_tool() -> None:
    [other] = build_statements(require(WEB), ISSUER)
    other["Sid"] = "Irsa"

    merged = merge({"Statement": [other]}, build_statements(require(API), ISSUER))

    assert merged["Statement"] == [other, *build_statements(require(API), ISSUER)]


def test_policy_is_parsed_in_every_form_of_the_aws_cli() -> None:
    policy = build_trust_policy(require(WEB), ISSUER)
    text = json.dumps(policy)
    role = {"Arn": ROLE, "AssumeRolePolicyDocument": policy}

    assert parse_policy(text) == (policy, None)
    assert parse_policy("\ufeff" + text) == (policy, None)
    assert parse_policy(quote(text)) == (policy, None)
    assert parse_policy(json.dumps(role)) == (policy, ROLE)
    assert parse_policy(json.dumps({"Role": role})) == (policy, ROLE)
    assert parse_policy(json.dumps({"Role": {**role, "AssumeRolePolicyDocument": quote(text)}})) == (policy, ROLE)


def test_provider_is_distinguished_from_a_policy() -> None:
    assert parse_oidc_provider('{"ClientIDList": []}') == {"ClientIDList": []}
    assert parse_oidc_provider('{"Statement": []}') is None


def test_white_space_is_not_counted() -> None:
    assert count_characters({"a": [1, 2]}) == len('{"a":[1,2]}')
