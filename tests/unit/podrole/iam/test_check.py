"""The findings about a trust policy: one for each mistake, and none for a correct one."""

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from podrole.findings import Finding, Level
from podrole.iam.check import ISSUER_FINDINGS, check_document, check_policy
from podrole.iam.documents import PolicyError
from podrole.iam.findings import TrustFinding
from podrole.iam.policies import TrustRequirements, build_statements, build_subject, build_trust_policy, merge
from podrole.iam.statements import ExpectedTrust

ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/ABC"
ROLE = "arn:aws:iam::111122223333:role/reader"
WEB = build_subject("team-a", "web")
EXPECTED = ExpectedTrust(ISSUER, ROLE, (WEB,))
CORRECT = build_trust_policy(TrustRequirements(ROLE, frozenset([WEB])), ISSUER)
SUB, AUD = f"{ISSUER}:sub", f"{ISSUER}:aud"
NODES = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/nodes"}, "Action": "sts:AssumeRole"}
POD_IDENTITY = {
    "Effect": "Allow",
    "Principal": {"Service": "pods.eks.amazonaws.com"},
    "Action": ["sts:AssumeRole", "sts:TagSession"],
}
"""As EKS Pod Identity needs it: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html"""

POD_IDENTITY_CONDITIONS = {
    "Condition": {
        "StringEquals": {"aws:RequestTag/kubernetes-namespace": ["team-a"], "aws:SourceAccount": "111122223333"}
    }
}


def list_codes(policy: Any, expected: ExpectedTrust = EXPECTED) -> set[str]:
    return {finding.code for finding in check_policy(policy, expected)}


def change(**fields: Any) -> Any:
    """The correct policy with changes in its statement."""
    policy = copy.deepcopy(CORRECT)
    policy["Statement"][0] |= fields
    return policy


def condition(**operators: Any) -> Any:
    return change(Condition=operators)


def federated(arn: str) -> Any:
    return change(Principal={"Federated": arn})


def provider(issuer: str = ISSUER, account: str = "111122223333", partition: str = "aws") -> str:
    return f"arn:{partition}:iam::{account}:oidc-provider/{issuer}"


def equals(**values: Any) -> Any:
    return condition(
        StringEquals={AUD: "sts.amazonaws.com", SUB: WEB} | {f"{ISSUER}:{k}": v for k, v in values.items()}
    )


def like(subject: Any) -> Any:
    return condition(StringEquals={AUD: "sts.amazonaws.com"}, StringLike={SUB: subject})


WITHOUT_SUBJECT = condition(StringEquals={AUD: "sts.amazonaws.com"})
MISTAKES: dict[str, tuple[Any, set[str]]] = {
    "no statement": ({"Statement": []}, {"NoWebIdentityStatement"}),
    "only kube2iam's statement": ({"Statement": [NODES]}, {"NoWebIdentityStatement", "RolePrincipal"}),
    "kube2iam's statement and podrole's": (
        {"Statement": [NODES, *CORRECT["Statement"]]},
        {"RolePrincipal", "SubjectAllowed"},
    ),
    "scheme in the provider": (
        federated(provider(f"https://{ISSUER}")),
        {"ProviderArnWithScheme", "SubjectNotAllowed"},
    ),
    "URL as the provider": (federated(f"https://{ISSUER}"), {"ProviderArnInvalid", "NoWebIdentityStatement"}),
    "invalid ARN of a provider": (
        federated("arn:aws:iam::1:oidc-provider/x"),
        {"ProviderArnInvalid", "NoWebIdentityStatement"},
    ),
    "slash after the issuer": (
        federated(provider(f"{ISSUER}/")),
        {"IssuerMismatch", "ConditionKeyNotInRequest", "SubjectNotAllowed"},
    ),
    "another issuer": (
        federated(provider("a.example.com")),
        {"IssuerMismatch", "ConditionKeyNotInRequest", "SubjectNotAllowed"},
    ),
    "another account": (federated(provider(account="444455556666")), {"ProviderAccountMismatch", "SubjectNotAllowed"}),
    "another partition": (federated(provider(partition="aws-cn")), {"ProviderPartitionMismatch", "SubjectNotAllowed"}),
    "AssumeRole": (change(Action="sts:AssumeRole"), {"WrongAction", "SubjectNotAllowed"}),
    "missing action": (change(Action=None), {"WrongAction", "SubjectNotAllowed"}),
    "scheme in a condition key": (
        condition(StringEquals={f"https://{AUD}": "sts.amazonaws.com", SUB: WEB}),
        {"ConditionKeyNotInRequest", "SubjectNotAllowed"},
    ),
    "condition key of another issuer": (
        condition(StringEquals={AUD: "sts.amazonaws.com", "a.example.com:sub": WEB}),
        {"ConditionKeyNotInRequest", "SubjectNotAllowed"},
    ),
    "wrong audience": (equals(aud="https://kubernetes.default.svc"), {"WrongAudience", "SubjectNotAllowed"}),
    "empty audience": (equals(aud=[]), {"WrongAudience", "SubjectNotAllowed"}),
    "missing audience": (condition(StringEquals={SUB: WEB}), {"AudienceMissing", "SubjectAllowed"}),
    "missing subject": (WITHOUT_SUBJECT, {"SubjectMissing", "SubjectAllowed"}),
    "missing conditions": (condition(), {"SubjectMissing", "AudienceMissing", "SubjectAllowed"}),
    "wildcard with StringEquals": (
        equals(sub="system:serviceaccount:team-a:*"),
        {"LiteralWildcard", "SubjectNotAllowed"},
    ),
    "any subject": (like("*"), {"SubjectOfAnyNamespace", "SubjectAllowed"}),
    "any ServiceAccount": (like("system:serviceaccount:*"), {"SubjectOfAnyNamespace", "SubjectAllowed"}),
    "any namespace": (like("system:serviceaccount:*:web"), {"SubjectOfAnyNamespace", "SubjectAllowed"}),
    "any namespace with a prefix": (
        like("system:serviceaccount:team-?:web"),
        {"SubjectOfAnyNamespace", "SubjectAllowed"},
    ),
    "any ServiceAccount of a namespace": (
        like("system:serviceaccount:team-a:*"),
        {"SubjectWildcard", "SubjectAllowed"},
    ),
    "another namespace": (equals(sub=build_subject("team-b", "web")), {"SubjectNotAllowed"}),
    "another ServiceAccount of the namespace": (equals(sub=build_subject("team-a", "api")), {"SubjectNotAllowed"}),
    "subject in another case": (equals(sub="system:serviceaccount:team-a:Web"), {"SubjectNotAllowed"}),
    "subject without prefix": (equals(sub="team-a/web"), {"SubjectInvalid", "SubjectNotAllowed"}),
    "subject without namespace": (equals(sub="system:serviceaccount:web"), {"SubjectInvalid", "SubjectNotAllowed"}),
    "ForAllValues": (
        condition(**{"ForAllValues:StringEquals": {SUB: WEB}, "StringEquals": {AUD: "sts.amazonaws.com"}}),
        {"WeakOperator", "SubjectAllowed"},
    ),
    "StringNotEquals": (
        condition(StringNotEquals={SUB: "x"}, StringEquals={AUD: "sts.amazonaws.com"}),
        {"WeakOperator", "SubjectAllowed"},
    ),
    "IfExists": (
        condition(StringEqualsIfExists={SUB: WEB}, StringEquals={AUD: "sts.amazonaws.com"}),
        {"WeakOperator", "SubjectAllowed"},
    ),
    "external id": (
        condition(StringEquals={AUD: "sts.amazonaws.com", SUB: WEB, "sts:ExternalId": "x"}),
        {"ExternalIdRequired", "SubjectNotAllowed"},
    ),
    "another condition": (
        condition(StringEquals={AUD: "sts.amazonaws.com", SUB: WEB}, IpAddress={"aws:SourceIp": "10.0.0.0/8"}),
        {"ConditionsNotChecked", "SubjectAllowed"},
    ),
    "deny statement": (
        {"Statement": [*CORRECT["Statement"], {"Effect": "Deny", "Principal": "*", "Action": "sts:*"}]},
        {"DenyStatement", "SubjectAllowed"},
    ),
    "any principal": (
        {"Statement": [*CORRECT["Statement"], NODES | {"Principal": "*"}]},
        {"AnyPrincipal", "SubjectAllowed"},
    ),
    "any AWS principal": (
        {"Statement": [*CORRECT["Statement"], NODES | {"Principal": {"AWS": "*"}}]},
        {"AnyPrincipal", "SubjectAllowed"},
    ),
    "whole account": (
        {
            "Statement": [
                *CORRECT["Statement"],
                NODES | {"Principal": {"AWS": ["arn:aws:iam::444455556666:root", "1" * 12]}},
            ]
        },
        {"AccountPrincipal", "SubjectAllowed"},
    ),
    "deleted role": (
        {"Statement": [*CORRECT["Statement"], NODES | {"Principal": {"AWS": "AROAIOSFODNN7EXAMPLE"}}]},
        {"DeletedPrincipal", "SubjectAllowed"},
    ),
    "EC2 instances": (
        {"Statement": [*CORRECT["Statement"], NODES | {"Principal": {"Service": "ec2.amazonaws.com"}}]},
        {"Ec2Principal", "SubjectAllowed"},
    ),
    "EC2 instances in China": (
        {"Statement": [*CORRECT["Statement"], NODES | {"Principal": {"Service": "ec2.amazonaws.com.cn"}}]},
        {"Ec2Principal", "SubjectAllowed"},
    ),
    "only Pod Identity's statement": (
        {"Statement": [POD_IDENTITY]},
        {"PodIdentityPrincipal", "NoWebIdentityStatement"},
    ),
    "Pod Identity's statement for one namespace": (
        {"Statement": [POD_IDENTITY | POD_IDENTITY_CONDITIONS]},
        {"PodIdentityPrincipal", "NoWebIdentityStatement"},
    ),
    "Pod Identity's statement and podrole's": (
        {"Statement": [POD_IDENTITY, *CORRECT["Statement"]]},
        {"PodIdentityPrincipal", "SubjectAllowed"},
    ),
    "another service": (
        {"Statement": [*CORRECT["Statement"], NODES | {"Principal": {"Service": "lambda.amazonaws.com"}}]},
        {"ServicePrincipal", "SubjectAllowed"},
    ),
    "several services": (
        {
            "Statement": [
                *CORRECT["Statement"],
                NODES | {"Principal": {"Service": ["ecs-tasks.amazonaws.com", "pods.eks.amazonaws.com"]}},
            ]
        },
        {"ServicePrincipal", "PodIdentityPrincipal", "SubjectAllowed"},
    ),
    "NotPrincipal and NotAction": (
        {
            "Statement": [
                *CORRECT["Statement"],
                {"Effect": "Deny", "NotPrincipal": {"AWS": "x"}, "NotAction": "sts:Tag"},
            ]
        },
        {"DenyStatement", "InvertedElement", "SubjectAllowed"},
    ),
    "longer than the default quota": (
        equals(sub=[WEB, *(build_subject("team-a", f"w{n:03}") for n in range(60))]),
        {"PolicyExceedsDefaultQuota", "SubjectAllowed"},
    ),
    "longer than the maximum": (
        equals(sub=[WEB, *(build_subject("team-a", f"w{n:03}") for n in range(200))]),
        {"PolicyExceedsMaximum", "SubjectAllowed"},
    ),
}


@pytest.mark.parametrize(("policy", "codes"), MISTAKES.values(), ids=list(MISTAKES))
def test_each_mistake_is_the_only_finding(policy: Any, codes: set[str]) -> None:
    assert list_codes(policy) == codes


def test_every_finding_has_a_case() -> None:
    covered = {code for _, codes in MISTAKES.values() for code in codes}
    elsewhere = {"IssuerNotCompared", *(template.code for template in ISSUER_FINDINGS.values())}
    elsewhere |= {template.code for template in TrustFinding if template.name.startswith("PROVIDER")}

    assert {template.code for template in TrustFinding} == covered | elsewhere


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        pytest.param({"Statement": "x"}, "must be a list of objects", id="statement-is-text"),
        pytest.param({"Statement": [{"Effect": "allow"}]}, 'it must be "Allow" or "Deny"', id="effect-in-lower-case"),
        pytest.param(change(Condition=["x"]), "Condition of a statement must be", id="condition-is-a-list"),
        pytest.param(
            change(Condition={"StringEquals": "x"}), "Condition of a statement must be", id="operator-is-text"
        ),
    ],
)
def test_invalid_policy_is_rejected(policy: Any, problem: str) -> None:
    with pytest.raises(PolicyError, match=problem):
        check_policy(policy, EXPECTED)


def test_correct_policy_has_only_an_ok_finding() -> None:
    assert check_policy(CORRECT, EXPECTED) == [Finding(Level.OK, "SubjectAllowed", f"{WEB} can assume the role.", "")]


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(change(Action=["sts:assumerolewithwebidentity", "sts:TagSession"]), id="two-actions"),
        pytest.param(change(Action="sts:*"), id="action-wildcard"),
        pytest.param(
            change(Principal={"Federated": [provider(), "cognito-identity.amazonaws.com"]}), id="two-principals"
        ),
        pytest.param(condition(StringLike={SUB: WEB, AUD: "sts.amazonaws.*"}), id="string-like"),
        pytest.param(
            condition(stringequals={SUB.upper(): WEB, AUD: ["x", "sts.amazonaws.com"]}), id="other-case-and-two-values"
        ),
        pytest.param(
            condition(
                **{"ForAnyValue:StringEquals": {SUB: [WEB]}, "StringEqualsIgnoreCase": {AUD: "STS.amazonaws.com"}}
            ),
            id="for-any-value",
        ),
        pytest.param({"Statement": CORRECT["Statement"][0]}, id="single-statement"),
    ],
)
def test_equivalent_policy_is_correct_too(policy: Any) -> None:
    assert list_codes(policy) == {"SubjectAllowed"}


def test_second_statement_for_another_cluster_is_no_mistake() -> None:
    other = build_trust_policy(TrustRequirements(ROLE, frozenset([WEB])), "other.example.com")["Statement"]

    assert list_codes({"Statement": [*CORRECT["Statement"], *other]}) == {"SubjectAllowed"}


API = build_subject("team-a", "api")
MIXED = build_trust_policy(TrustRequirements(ROLE, frozenset([WEB, API]), audiences={API: "amazonaws.com"}), ISSUER)
KOPS = ExpectedTrust(ISSUER, ROLE, (WEB,), {WEB: "amazonaws.com"})


@pytest.mark.parametrize(
    ("policy", "expected", "codes"),
    [
        pytest.param(CORRECT, KOPS, {"WrongAudience", "SubjectNotAllowed"}, id="pods-of-kops"),
        pytest.param(equals(aud="amazonaws.com"), KOPS, {"SubjectAllowed"}, id="pods-and-policy-of-kops"),
        pytest.param(
            equals(aud="amazonaws.com"),
            replace(KOPS, audiences={}, audience="amazonaws.com"),
            {"SubjectAllowed"},
            id="option",
        ),
        pytest.param(
            equals(aud="amazonaws.com"), replace(EXPECTED, subjects=()), {"WrongAudience"}, id="no-pods-given"
        ),
        pytest.param(MIXED, EXPECTED, {"SubjectAllowed"}, id="second-audience-is-of-other-pods"),
        pytest.param(
            MIXED,
            ExpectedTrust(ISSUER, ROLE, (WEB, API), {API: "amazonaws.com"}),
            {"SubjectAllowed"},
            id="each-has-its-own-audience",
        ),
        pytest.param(
            MIXED,
            ExpectedTrust(ISSUER, ROLE, (WEB, API)),
            {"WrongAudience", "SubjectAllowed", "SubjectNotAllowed"},
            id="annotation-was-removed",
        ),
    ],
)
def test_audience_is_that_of_the_statements_pods(policy: Any, expected: ExpectedTrust, codes: set[str]) -> None:
    assert list_codes(policy, expected) == codes


def test_wrong_audience_names_both_and_how_to_change_either() -> None:
    [finding] = [one for one in check_policy(CORRECT, KOPS) if one.code == "WrongAudience"]

    assert "requires the audience sts.amazonaws.com, but the pods' tokens are for amazonaws.com." in finding.text
    assert f'Use "{ISSUER}:aud": "amazonaws.com", or annotate the ServiceAccount' in finding.remedy


def test_unknown_issuer_and_role_are_not_compared() -> None:
    assert list_codes(CORRECT, ExpectedTrust()) == {"IssuerNotCompared"}
    assert list_codes(federated(provider(account="444455556666")), ExpectedTrust(ISSUER)) == set()


def test_policy_of_pod_identity_is_named_with_what_to_add() -> None:
    found = {one.code: one for one in check_policy({"Statement": [POD_IDENTITY]}, EXPECTED)}

    named = found["PodIdentityPrincipal"]
    assert "Statement 1 is for EKS Pod Identity" in named.text
    assert "podrole trust-policy ROLE --namespace NAME --service-account NAME --merge FILE" in named.remedy
    assert found["NoWebIdentityStatement"].level is Level.PROBLEM


def test_statement_of_pod_identity_is_kept_by_a_merge() -> None:
    statements = build_statements(TrustRequirements(ROLE, frozenset([WEB])), ISSUER)

    merged = merge({"Version": "2012-10-17", "Statement": [POD_IDENTITY]}, statements)

    assert merged["Statement"] == [POD_IDENTITY, *statements]
    assert list_codes(merged) == {"PodIdentityPrincipal", "SubjectAllowed"}


def test_finding_contains_statement_value_and_remedy() -> None:
    finding = next(
        f for f in check_policy(federated(provider(f"https://{ISSUER}")), EXPECTED) if f.level is Level.PROBLEM
    )

    assert finding.text == (
        f"Statement 1 (Podrole) contains {provider(f'https://{ISSUER}')}: "
        "the ARN of an OIDC provider does not contain https://."
    )
    assert finding.remedy == f"Use {provider()}."


def test_missing_subject_is_reported_with_the_command_that_adds_it() -> None:
    [finding] = check_policy(equals(sub=build_subject("team-a", "api")), EXPECTED)

    assert finding.remedy.startswith("podrole trust-policy ROLE --namespace team-a --service-account web --merge")


def test_expensive_pattern_is_matched_quickly() -> None:
    assert list_codes(like("*a" * 500 + "b")) >= {"SubjectOfAnyNamespace", "SubjectNotAllowed"}


def test_role_arn_is_read_from_the_output_of_get_role() -> None:
    text = json.dumps({"Role": {"Arn": "arn:aws:iam::444455556666:role/x", "AssumeRolePolicyDocument": CORRECT}})

    assert {finding.code for finding in check_document(text, ExpectedTrust(ISSUER))} == {"ProviderAccountMismatch"}
