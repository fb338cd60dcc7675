"""Says what is wrong with a trust policy, for pods' tokens and for safety. Pure; the sentences stand in `findings`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import contract
from podrole.findings import Finding
from podrole.iam.documents import (
    DEFAULT_QUOTA,
    HIGHEST_QUOTA,
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

ROLE_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:(iam::\d{12}:role/|sts::\d{12}:assumed-role/).+")
ACCOUNT_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:iam::(?P<account>\d{12}):root|(?P<digits>\d{12})")
DELETED_PRINCIPAL = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,}")
"""What IAM shows in place of a role or user that is gone: its unique id.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
"""


def check_policy(policy: Policy, expected: ExpectedTrust) -> list[Finding]:
    """Everything that is wrong with a trust policy, statement by statement. Raises PolicyError where it is none."""
    statements = [read_statement(number, content) for number, content in enumerate(read_statements(policy), 1)]
    issuers = {provider.issuer for statement in statements for provider in statement.providers if statement.is_allow}
    findings: list[Finding] = []
    for statement in statements:
        if statement.is_allow:
            findings += check_web_identity(statement, expected, is_issuer_met=expected.issuer in issuers)
            findings += _check_principals(statement)
        else:
            denied = ", ".join(statement.actions) or "everything but some actions"
            findings.append(TrustFinding.DENY.format(where=statement.where, actions=denied))
        findings += _check_inversions(statement)
    return [*findings, *_check_whole(statements, expected), *check_length(policy)]


def check_document(text: str, expected: ExpectedTrust) -> list[Finding]:
    """What is wrong with a policy or an OIDC provider, as the AWS CLI prints them. Raises PolicyError."""
    provider = parse_oidc_provider(text)
    if provider is not None:
        return [*check_provider(provider, expected.issuer)]
    policy, role_arn = parse_policy(text)
    return check_policy(policy, replace(expected, role_arn=expected.role_arn or role_arn))


def check_issuer(url: str) -> Iterator[Finding]:
    """Whether AWS can fetch the issuer's keys, which it does over https and from the internet."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https":
        yield TrustFinding.ISSUER_WITHOUT_TLS.format(issuer=url)
    if "." not in host or host.endswith((".svc", ".local", ".internal")) or host == "localhost":
        yield TrustFinding.ISSUER_INSIDE.format(issuer=url)


def check_length(policy: Policy) -> Iterator[Finding]:
    """Whether IAM takes a policy of this length."""
    numbers = {"length": count_characters(policy), "quota": DEFAULT_QUOTA, "highest": HIGHEST_QUOTA}
    if numbers["length"] > HIGHEST_QUOTA:
        yield TrustFinding.FAR_TOO_LONG.format(**numbers)
    elif numbers["length"] > DEFAULT_QUOTA:
        yield TrustFinding.TOO_LONG.format(**numbers)


def check_provider(document: dict[str, Any], issuer: str | None) -> Iterator[Finding]:
    """What `aws iam get-open-id-connect-provider` prints. Raises PolicyError where its URL is none."""
    clients = read_values(document.get("ClientIDList"))
    if contract.TOKEN_AUDIENCE in clients:
        yield TrustFinding.PROVIDER_AUDIENCE_THERE.format()
    else:
        yield TrustFinding.PROVIDER_AUDIENCE.format(value=", ".join(clients) or "none")
    own = parse_issuer(str(document.get("Url")))
    if issuer is None:
        yield TrustFinding.ISSUER_UNKNOWN.format()
    elif own != issuer:
        yield TrustFinding.PROVIDER_ISSUER.format(issuer=own, expected=issuer)
    if document.get("ThumbprintList"):
        yield TrustFinding.THUMBPRINT.format()


def _check_principals(statement: Statement) -> Iterator[Finding]:
    where = statement.where
    for who in (*statement.principals.get("AWS", ()), *statement.principals.get("*", ())):
        account = ACCOUNT_PRINCIPAL.fullmatch(who)
        if who == "*":
            if not statement.conditions:
                yield TrustFinding.ANYBODY.format(where=where)
        elif account:
            yield TrustFinding.WHOLE_ACCOUNT.format(where=where, value=account["account"] or account["digits"])
        elif DELETED_PRINCIPAL.fullmatch(who):
            yield TrustFinding.DELETED_PRINCIPAL.format(where=where, value=who)
        elif ROLE_PRINCIPAL.fullmatch(who):
            yield TrustFinding.OTHER_ROLE.format(where=where, value=who)
    if any(re.fullmatch(r"ec2\.amazonaws\.com(\.cn)?", service) for service in statement.principals.get("Service", ())):
        yield TrustFinding.EC2.format(where=where)


def _check_inversions(statement: Statement) -> Iterator[Finding]:
    for key in ("NotPrincipal", "NotAction"):
        if key in statement.content:
            yield TrustFinding.INVERTED.format(where=statement.where, key=key)


def _check_whole(statements: Sequence[Statement], expected: ExpectedTrust) -> Iterator[Finding]:
    if not any(statement.is_allow and statement.providers for statement in statements):
        yield TrustFinding.NO_WEB_IDENTITY.format()
        return
    if expected.issuer is None:
        yield TrustFinding.ISSUER_UNKNOWN.format()
    for subject in expected.subjects:
        is_allowed = any(
            expected.matches(provider) and statement.allows(subject, provider)
            for statement in statements
            for provider in statement.providers
        )
        yield TrustFinding.ALLOWED.format(subject=subject) if is_allowed else _build_refusal(subject)


def _build_refusal(subject: str) -> Finding:
    namespace, _, account = subject.removeprefix(SUBJECT_PREFIX).partition(":")
    return TrustFinding.NOT_ALLOWED.format(subject=subject, namespace=namespace, account=account)
