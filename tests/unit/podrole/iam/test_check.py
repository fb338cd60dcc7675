"""What is said about a trust policy: each mistake by its own sentence, and nothing about one that is right."""

import copy
import json
from typing import Any

import pytest

from podrole.findings import Finding, Level
from podrole.iam.check import check_document, check_issuer, check_policy
from podrole.iam.documents import PolicyError
from podrole.iam.findings import TrustFinding
from podrole.iam.policies import TrustRequirements, build_subject, build_trust_policy
from podrole.iam.statements import ExpectedTrust

ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/ABC"
ROLE = "arn:aws:iam::111122223333:role/reader"
WEB = build_subject("team-a", "web")
EXPECTED = ExpectedTrust(ISSUER, ROLE, (WEB,))
RIGHT = build_trust_policy(TrustRequirements(ROLE, frozenset([WEB])), ISSUER)
SUB, AUD = f"{ISSUER}:sub", f"{ISSUER}:aud"
NODES = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/nodes"}, "Action": "sts:AssumeRole"}


def codes_of(policy: Any, expected: ExpectedTrust = EXPECTED) -> set[str]:
    return {finding.code for finding in check_policy(policy, expected)}


def change(**fields: Any) -> Any:
    """The right policy with something of its statement changed."""
    policy = copy.deepcopy(RIGHT)
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
    "no statement": ({"Statement": []}, {"NoWebIdentity"}),
    "kube2iam's alone": ({"Statement": [NODES]}, {"NoWebIdentity", "OtherRole"}),
    "kube2iam's beside ours": ({"Statement": [NODES, *RIGHT["Statement"]]}, {"OtherRole", "Allowed"}),
    "scheme in the provider": (federated(provider(f"https://{ISSUER}")), {"SchemeInIssuer", "NotAllowed"}),
    "URL as the provider": (federated(f"https://{ISSUER}"), {"BadProvider", "NoWebIdentity"}),
    "no ARN of a provider": (federated("arn:aws:iam::1:oidc-provider/x"), {"BadProvider", "NoWebIdentity"}),
    "slash behind the issuer": (federated(provider(f"{ISSUER}/")), {"OtherIssuer", "DeadKey", "NotAllowed"}),
    "another issuer": (federated(provider("a.example.com")), {"OtherIssuer", "DeadKey", "NotAllowed"}),
    "another account": (federated(provider(account="444455556666")), {"OtherAccount", "NotAllowed"}),
    "another partition": (federated(provider(partition="aws-cn")), {"OtherPartition", "NotAllowed"}),
    "AssumeRole": (change(Action="sts:AssumeRole"), {"WrongAction", "NotAllowed"}),
    "no action": (change(Action=None), {"WrongAction", "NotAllowed"}),
    "scheme in a key": (
        condition(StringEquals={f"https://{AUD}": "sts.amazonaws.com", SUB: WEB}),
        {"DeadKey", "NotAllowed"},
    ),
    "key of another issuer": (
        condition(StringEquals={AUD: "sts.amazonaws.com", "a.example.com:sub": WEB}),
        {"DeadKey", "NotAllowed"},
    ),
    "wrong audience": (equals(aud="https://kubernetes.default.svc"), {"WrongAudience", "NotAllowed"}),
    "empty audience": (equals(aud=[]), {"WrongAudience", "NotAllowed"}),
    "no audience": (condition(StringEquals={SUB: WEB}), {"AudienceMissing", "Allowed"}),
    "no subject": (WITHOUT_SUBJECT, {"SubjectMissing", "Allowed"}),
    "no condition": (condition(), {"SubjectMissing", "AudienceMissing", "Allowed"}),
    "wildcard under equals": (equals(sub="system:serviceaccount:team-a:*"), {"LiteralWildcard", "NotAllowed"}),
    "anything": (like("*"), {"AnySubject", "Allowed"}),
    "any account": (like("system:serviceaccount:*"), {"AnySubject", "Allowed"}),
    "any namespace": (like("system:serviceaccount:*:web"), {"AnySubject", "Allowed"}),
    "any namespace that begins so": (like("system:serviceaccount:team-?:web"), {"AnySubject", "Allowed"}),
    "any account of a namespace": (like("system:serviceaccount:team-a:*"), {"AnyAccount", "Allowed"}),
    "another namespace": (equals(sub=build_subject("team-b", "web")), {"NotAllowed"}),
    "another account of the namespace": (equals(sub=build_subject("team-a", "api")), {"NotAllowed"}),
    "another case": (equals(sub="system:serviceaccount:team-a:Web"), {"NotAllowed"}),
    "namespace/name": (equals(sub="team-a/web"), {"BadSubject", "NotAllowed"}),
    "no namespace": (equals(sub="system:serviceaccount:web"), {"BadSubject", "NotAllowed"}),
    "for all values": (
        condition(**{"ForAllValues:StringEquals": {SUB: WEB}, "StringEquals": {AUD: "sts.amazonaws.com"}}),
        {"WeakOperator", "Allowed"},
    ),
    "all but one": (
        condition(StringNotEquals={SUB: "x"}, StringEquals={AUD: "sts.amazonaws.com"}),
        {"WeakOperator", "Allowed"},
    ),
    "only if it is there": (
        condition(StringEqualsIfExists={SUB: WEB}, StringEquals={AUD: "sts.amazonaws.com"}),
        {"WeakOperator", "Allowed"},
    ),
    "external id": (
        condition(StringEquals={AUD: "sts.amazonaws.com", SUB: WEB, "sts:ExternalId": "x"}),
        {"ExternalId", "NotAllowed"},
    ),
    "a condition of their own": (
        condition(StringEquals={AUD: "sts.amazonaws.com", SUB: WEB}, IpAddress={"aws:SourceIp": "10.0.0.0/8"}),
        {"OtherConditions", "Allowed"},
    ),
    "denied": (
        {"Statement": [*RIGHT["Statement"], {"Effect": "Deny", "Principal": "*", "Action": "sts:*"}]},
        {"Deny", "Allowed"},
    ),
    "anybody": ({"Statement": [*RIGHT["Statement"], NODES | {"Principal": "*"}]}, {"Anybody", "Allowed"}),
    "anybody in AWS": (
        {"Statement": [*RIGHT["Statement"], NODES | {"Principal": {"AWS": "*"}}]},
        {"Anybody", "Allowed"},
    ),
    "whole account": (
        {
            "Statement": [
                *RIGHT["Statement"],
                NODES | {"Principal": {"AWS": ["arn:aws:iam::444455556666:root", "1" * 12]}},
            ]
        },
        {"WholeAccount", "Allowed"},
    ),
    "deleted role": (
        {"Statement": [*RIGHT["Statement"], NODES | {"Principal": {"AWS": "AROAIOSFODNN7EXAMPLE"}}]},
        {"DeletedPrincipal", "Allowed"},
    ),
    "instances": (
        {"Statement": [*RIGHT["Statement"], NODES | {"Principal": {"Service": "ec2.amazonaws.com"}}]},
        {"Ec2", "Allowed"},
    ),
    "not these": (
        {"Statement": [*RIGHT["Statement"], {"Effect": "Deny", "NotPrincipal": {"AWS": "x"}, "NotAction": "sts:Tag"}]},
        {"Deny", "Inverted", "Allowed"},
    ),
    "too long": (equals(sub=[WEB, *(build_subject("team-a", f"w{n:03}") for n in range(60))]), {"TooLong", "Allowed"}),
    "far too long": (
        equals(sub=[WEB, *(build_subject("team-a", f"w{n:03}") for n in range(200))]),
        {"FarTooLong", "Allowed"},
    ),
}


@pytest.mark.parametrize(("policy", "codes"), MISTAKES.values(), ids=list(MISTAKES))
def test_each_mistake_is_told_by_its_own_sentence_and_nothing_else_is(policy: Any, codes: set[str]) -> None:
    assert codes_of(policy) == codes


def test_every_sentence_about_a_policy_is_told_by_some_case() -> None:
    told = {code for _, codes in MISTAKES.values() for code in codes}
    elsewhere = {"IssuerUnknown", "IssuerWithoutTls", "IssuerInside"}
    elsewhere |= {
        finding.name.title().replace("_", "") for finding in TrustFinding if finding.name.startswith("PROVIDER")
    }

    assert {finding.name.title().replace("_", "") for finding in TrustFinding} == told | elsewhere | {"Thumbprint"}


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        ({"Statement": "x"}, "must be a list of objects"),
        ({"Statement": [{"Effect": "allow"}]}, 'it must be "Allow" or "Deny"'),
        (change(Condition=["x"]), "Condition of a statement must be"),
        (change(Condition={"StringEquals": "x"}), "Condition of a statement must be"),
    ],
)
def test_what_iam_would_not_take_is_refused(policy: Any, problem: str) -> None:
    with pytest.raises(PolicyError, match=problem):
        check_policy(policy, EXPECTED)


def test_the_right_policy_is_only_said_to_be_right() -> None:
    assert check_policy(RIGHT, EXPECTED) == [Finding(Level.OK, "Allowed", f"{WEB} can assume the role.", "")]


@pytest.mark.parametrize(
    "policy",
    [
        change(Action=["sts:assumerolewithwebidentity", "sts:TagSession"]),
        change(Action="sts:*"),
        change(Principal={"Federated": [provider(), "cognito-identity.amazonaws.com"]}),
        condition(StringLike={SUB: WEB, AUD: "sts.amazonaws.*"}),
        condition(stringequals={SUB.upper(): WEB, AUD: ["x", "sts.amazonaws.com"]}),
        condition(**{"ForAnyValue:StringEquals": {SUB: [WEB]}, "StringEqualsIgnoreCase": {AUD: "STS.amazonaws.com"}}),
        {"Statement": RIGHT["Statement"][0]},
    ],
)
def test_what_means_the_same_is_right_too(policy: Any) -> None:
    assert codes_of(policy) == {"Allowed"}


def test_a_statement_for_another_cluster_is_no_mistake_beside_the_right_one() -> None:
    other = build_trust_policy(TrustRequirements(ROLE, frozenset([WEB])), "other.example.com")["Statement"]

    assert codes_of({"Statement": [*RIGHT["Statement"], *other]}) == {"Allowed"}


def test_what_is_not_known_is_not_held_against_a_policy() -> None:
    assert codes_of(RIGHT, ExpectedTrust()) == {"IssuerUnknown"}
    assert codes_of(federated(provider(account="444455556666")), ExpectedTrust(ISSUER)) == set()


def test_a_finding_names_the_statement_the_value_and_what_to_do() -> None:
    finding = next(
        f for f in check_policy(federated(provider(f"https://{ISSUER}")), EXPECTED) if f.level is Level.PROBLEM
    )

    assert finding.text == (
        f"Statement 1 (Podrole) has {provider(f'https://{ISSUER}')}: "
        "IAM names a provider without https://, so this is none."
    )
    assert finding.remedy == f"Write {provider()}."


def test_an_account_that_is_left_out_is_told_with_the_command_that_adds_it() -> None:
    [finding] = check_policy(equals(sub=build_subject("team-a", "api")), EXPECTED)

    assert finding.remedy.startswith("podrole trust-policy ROLE --namespace team-a --service-account web --merge")


def test_a_pattern_that_is_made_to_stop_a_matcher_does_not() -> None:
    assert codes_of(like("*a" * 500 + "b")) >= {"AnySubject", "NotAllowed"}


def test_the_role_is_known_from_what_get_role_prints() -> None:
    text = json.dumps({"Role": {"Arn": "arn:aws:iam::444455556666:role/x", "AssumeRolePolicyDocument": RIGHT}})

    assert {finding.code for finding in check_document(text, ExpectedTrust(ISSUER))} == {"OtherAccount"}


@pytest.mark.parametrize(
    ("document", "codes"),
    [
        ({"Url": ISSUER, "ClientIDList": ["sts.amazonaws.com"]}, {"ProviderAudienceThere"}),
        ({"Url": ISSUER, "ClientIDList": []}, {"ProviderAudience"}),
        ({"Url": ISSUER, "ClientIDList": ["vault"], "ThumbprintList": ["a"]}, {"ProviderAudience", "Thumbprint"}),
        ({"Url": f"{ISSUER}/", "ClientIDList": ["sts.amazonaws.com"]}, {"ProviderAudienceThere", "ProviderIssuer"}),
    ],
)
def test_an_oidc_provider_is_looked_at_too(document: Any, codes: set[str]) -> None:
    assert {finding.code for finding in check_document(json.dumps(document), EXPECTED)} == codes


def test_a_provider_whose_issuer_is_not_known_is_not_compared() -> None:
    text = json.dumps({"Url": ISSUER, "ClientIDList": ["sts.amazonaws.com"]})

    assert {finding.code for finding in check_document(text, ExpectedTrust())} == {
        "ProviderAudienceThere",
        "IssuerUnknown",
    }


@pytest.mark.parametrize(
    ("url", "codes"),
    [
        (f"https://{ISSUER}", set()),
        ("https://kubernetes.default.svc.cluster.local", {"IssuerInside"}),
        ("https://kubernetes.default.svc", {"IssuerInside"}),
        ("https://kubernetes/default", {"IssuerInside"}),
        ("http://oidc.example.com", {"IssuerWithoutTls"}),
    ],
)
def test_an_issuer_that_aws_cannot_reach_is_told(url: str, codes: set[str]) -> None:
    assert {finding.code for finding in check_issuer(url)} == codes
