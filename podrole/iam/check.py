"""Checks a trust policy or an OIDC provider: whether pods can use the role, and whether others can too."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from podrole.findings import Finding
from podrole.iam.documents import (
    DEFAULT_QUOTA,
    MAXIMUM_QUOTA,
    Policy,
    count_characters,
    parse_oidc_provider,
    parse_policy,
    read_statements,
    read_values,
)
from podrole.iam.findings import TrustFinding
from podrole.iam.policies import SUBJECT_PREFIX, parse_issuer
from podrole.iam.statements import ExpectedTrust, Statement, read_statement
from podrole.iam.web_identity import check_web_identity
from podrole.issuer_urls import IssuerProblem, find_issuer_problems

ROLE_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:(iam::\d{12}:role/|sts::\d{12}:assumed-role/).+")
ACCOUNT_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:iam::(?P<account>\d{12}):root|(?P<digits>\d{12})")
DELETED_PRINCIPAL = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,}")
"""What IAM shows in place of a deleted role or user: its unique id.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
"""

SERVICES = {
    "ec2.amazonaws.com": TrustFinding.EC2_PRINCIPAL,
    "pods.eks.amazonaws.com": TrustFinding.POD_IDENTITY_PRINCIPAL,
}
"""https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html"""


ISSUER_FINDINGS = {
    IssuerProblem.NOT_HTTPS: TrustFinding.ISSUER_NOT_HTTPS,
    IssuerProblem.NOT_PUBLIC: TrustFinding.ISSUER_NOT_PUBLIC,
    IssuerProblem.HAS_PORT: TrustFinding.ISSUER_HAS_PORT,
    IssuerProblem.HAS_QUERY: TrustFinding.ISSUER_HAS_QUERY,
    IssuerProblem.ENDS_WITH_SLASH: TrustFinding.ISSUER_ENDS_WITH_SLASH,
}


def check_policy(policy: Policy, expected: ExpectedTrust) -> list[Finding]:
    """Check a trust policy, statement by statement. Raises PolicyError if it is not valid."""
    statements = [
        read_statement(number, content, is_outside_aws=expected.is_outside_aws)
        for number, content in enumerate(read_statements(policy), 1)
    ]
    issuers = {provider.issuer for statement in statements for provider in statement.providers if statement.is_allow}
    findings: list[Finding] = []
    for statement in statements:
        if statement.is_allow:
            findings += check_web_identity(statement, expected, is_issuer_trusted=expected.issuer in issuers)
            findings += _check_principals(statement)
        else:
            denied = ", ".join(statement.actions) or "all actions except some"
            findings.append(TrustFinding.DENY_STATEMENT.format(where=statement.where, actions=denied))
        findings += _check_inverted_elements(statement)
    return [*findings, *_check_subjects(statements, expected), *check_length(policy)]


def check_document(text: str, expected: ExpectedTrust) -> list[Finding]:
    """Check a policy or an OIDC provider, as the AWS CLI prints it. Raises PolicyError."""
    provider = parse_oidc_provider(text)
    if provider is not None:
        return [*check_provider(provider, expected)]
    policy, role_arn = parse_policy(text)
    return check_policy(policy, replace(expected, role_arn=expected.role_arn or role_arn))


def check_issuer(url: str) -> Iterator[Finding]:
    """Check that AWS can fetch the issuer's keys, which it does over https and from the internet."""
    for problem in find_issuer_problems(url):
        yield ISSUER_FINDINGS[problem].format(issuer=url)


def check_length(policy: Policy) -> Iterator[Finding]:
    """Check the policy's length against IAM's quotas."""
    values = {"length": count_characters(policy), "quota": DEFAULT_QUOTA, "maximum": MAXIMUM_QUOTA}
    if values["length"] > MAXIMUM_QUOTA:
        yield TrustFinding.POLICY_EXCEEDS_MAXIMUM.format(**values)
    elif values["length"] > DEFAULT_QUOTA:
        yield TrustFinding.POLICY_EXCEEDS_DEFAULT_QUOTA.format(**values)


def check_provider(document: dict[str, Any], expected: ExpectedTrust) -> Iterator[Finding]:
    """Check the output of `aws iam get-open-id-connect-provider`. Raises PolicyError if its URL is not valid."""
    clients = read_values(document.get("ClientIDList"))
    for audience in expected.all_audiences:
        values = {"audience": audience, "word": shlex.quote(audience), "value": ", ".join(clients) or "none"}
        is_known = audience in clients
        found = TrustFinding.PROVIDER_AUDIENCE_PRESENT if is_known else TrustFinding.PROVIDER_AUDIENCE_MISSING
        yield found.format(**values)
    issuer = expected.issuer
    provider_issuer = parse_issuer(str(document.get("Url")))
    if issuer is None:
        yield TrustFinding.ISSUER_NOT_COMPARED.format()
    elif provider_issuer != issuer:
        words = {"url": shlex.quote(f"https://{issuer}"), "clients": shlex.join(expected.all_audiences)}
        yield TrustFinding.PROVIDER_ISSUER_MISMATCH.format(issuer=provider_issuer, expected=issuer, **words)
    if document.get("ThumbprintList"):
        yield TrustFinding.PROVIDER_THUMBPRINT.format()


def _check_principals(statement: Statement) -> Iterator[Finding]:
    where = statement.where
    for principal in (*statement.principals.get("AWS", ()), *statement.principals.get("*", ())):
        account = ACCOUNT_PRINCIPAL.fullmatch(principal)
        if principal == "*":
            if not statement.conditions:
                yield TrustFinding.ANY_PRINCIPAL.format(where=where)
        elif account:
            yield TrustFinding.ACCOUNT_PRINCIPAL.format(where=where, value=account["account"] or account["digits"])
        elif DELETED_PRINCIPAL.fullmatch(principal):
            yield TrustFinding.DELETED_PRINCIPAL.format(where=where, value=principal)
        elif ROLE_PRINCIPAL.fullmatch(principal):
            yield TrustFinding.ROLE_PRINCIPAL.format(where=where, value=principal)
    for service in statement.principals.get("Service", ()):
        found = SERVICES.get(service.removesuffix(".cn"), TrustFinding.SERVICE_PRINCIPAL)
        yield found.format(where=where, value=service)


def _check_inverted_elements(statement: Statement) -> Iterator[Finding]:
    for key in ("NotPrincipal", "NotAction"):
        if key in statement.content:
            yield TrustFinding.INVERTED_ELEMENT.format(where=statement.where, key=key)


def _check_subjects(statements: Sequence[Statement], expected: ExpectedTrust) -> Iterator[Finding]:
    if not any(statement.is_allow and statement.providers for statement in statements):
        yield TrustFinding.NO_WEB_IDENTITY_STATEMENT.format()
        return
    if expected.issuer is None:
        yield TrustFinding.ISSUER_NOT_COMPARED.format()
    for subject in expected.subjects:
        is_allowed = any(
            expected.matches(provider)
            and statement.allows({"aud": expected.find_audience(subject), "sub": subject}, provider)
            for statement in statements
            for provider in statement.providers
        )
        yield TrustFinding.SUBJECT_ALLOWED.format(subject=subject) if is_allowed else _format_not_allowed(subject)


def _format_not_allowed(subject: str) -> Finding:
    namespace, _, account = subject.removeprefix(SUBJECT_PREFIX).partition(":")
    words = {"namespace": shlex.quote(namespace), "account": shlex.quote(account)}
    return TrustFinding.SUBJECT_NOT_ALLOWED.format(subject=subject, **words)
