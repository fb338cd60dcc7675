"""Checks a statement for an OIDC provider: its provider, action and conditions."""

from collections.abc import Iterator

import contract
from injector.decision.roles import ANY_ARN
from podrole.findings import Finding
from podrole.iam.conditions import EQUALS, EQUALS_ANY_CASE, Condition
from podrole.iam.findings import TrustFinding
from podrole.iam.policies import SUBJECT_PREFIX, Provider
from podrole.iam.statements import ExpectedTrust, Statement, find_claim

SCHEMES = ("https://", "http://")
WILDCARDS = ("*", "?")


def check_web_identity(statement: Statement, expected: ExpectedTrust, *, is_issuer_trusted: bool) -> Iterator[Finding]:
    """Check everything. `is_issuer_trusted`: some statement trusts the cluster's issuer, so this one need not."""
    for arn in statement.principals.get("Federated", ()):
        if "oidc-provider" not in arn and not arn.startswith(SCHEMES):
            continue  # SAML, Cognito, Google: not used by pods
        provider = next((one for one in statement.providers if one.arn == arn), None)
        if provider is None:
            yield TrustFinding.PROVIDER_ARN_INVALID.format(where=statement.where, value=arn)
            continue
        yield from _check_provider(provider, statement, expected, is_issuer_trusted=is_issuer_trusted)
        if not statement.has_web_identity_action:
            actions = ", ".join(statement.actions)
            yield TrustFinding.WRONG_ACTION.format(where=statement.where, actions=actions or "no action")
        yield from _check_conditions(statement, provider, _find_audiences(statement, provider, expected))


def _check_provider(
    provider: Provider, statement: Statement, expected: ExpectedTrust, *, is_issuer_trusted: bool
) -> Iterator[Finding]:
    where, issuer = statement.where, provider.issuer
    if issuer.startswith(SCHEMES):
        yield TrustFinding.PROVIDER_ARN_WITH_SCHEME.format(
            where=where, value=provider.arn, expected=_strip_scheme(provider.arn)
        )
    elif expected.issuer and issuer != expected.issuer:
        is_similar = issuer.rstrip("/").lower() == expected.issuer.rstrip("/").lower()
        if is_similar or not is_issuer_trusted:
            yield TrustFinding.ISSUER_MISMATCH.format(where=where, issuer=issuer, expected=expected.issuer)
    role = ANY_ARN.fullmatch(expected.role_arn or "")
    if role and role["partition"] != provider.partition:
        yield TrustFinding.PROVIDER_PARTITION_MISMATCH.format(
            where=where, partition=provider.partition, expected=role["partition"]
        )
    if role and (role["account"] or "") != provider.account_id:
        yield TrustFinding.PROVIDER_ACCOUNT_MISMATCH.format(
            where=where, account=provider.account_id, expected=role["account"]
        )


def _strip_scheme(text: str) -> str:
    for scheme in SCHEMES:
        text = text.replace(scheme, "")
    return text


def _find_audiences(statement: Statement, provider: Provider, expected: ExpectedTrust) -> tuple[str, ...]:
    """Return the audiences of the pods that a statement is for; none if it is for other pods than those expected."""
    if not expected.subjects:
        return expected.all_audiences
    own = [subject for subject in expected.subjects if statement.matches({"sub": subject}, provider)]
    return tuple(sorted({expected.find_audience(subject) for subject in own}))


def _check_conditions(statement: Statement, provider: Provider, audiences: tuple[str, ...]) -> Iterator[Finding]:
    where, issuer = statement.where, _strip_scheme(provider.issuer)
    others = []
    for condition in statement.conditions:
        claim = find_claim(condition.key)
        if condition.key.lower() == "sts:externalid":
            yield TrustFinding.EXTERNAL_ID_REQUIRED.format(where=where)
        elif claim is None or claim[1] not in {"aud", "sub"}:
            others.append(condition.key)
        elif claim[0].lower() != issuer.lower():
            yield TrustFinding.CONDITION_KEY_NOT_IN_REQUEST.format(
                where=where, key=condition.key, expected=f"{issuer}:{claim[1]}"
            )
        elif condition.is_weak:
            yield TrustFinding.WEAK_OPERATOR.format(where=where, operator=condition.operator, key=condition.key)
        elif claim[1] == "aud":
            yield from _check_audience(where, condition, issuer, audiences)
        else:
            yield from _check_subjects(where, condition)
    if others:
        yield TrustFinding.CONDITIONS_NOT_CHECKED.format(where=where, keys=", ".join(others))
    yield from _find_missing_claims(statement, issuer, audiences)


def _find_missing_claims(statement: Statement, issuer: str, audiences: tuple[str, ...]) -> Iterator[Finding]:
    where = statement.where
    claims = {claim[1] for condition in statement.conditions if (claim := find_claim(condition.key))}
    if "aud" not in claims:
        example = next(iter(audiences), contract.TOKEN_AUDIENCE)
        yield TrustFinding.AUDIENCE_MISSING.format(where=where, issuer=issuer, expected=example)
    if "sub" not in claims:
        yield TrustFinding.SUBJECT_MISSING.format(where=where, issuer=issuer)


def _check_audience(where: str, condition: Condition, issuer: str, audiences: tuple[str, ...]) -> Iterator[Finding]:
    for audience in audiences:
        if not condition.matches(audience):
            value = ", ".join(condition.values) or "nothing"
            yield TrustFinding.WRONG_AUDIENCE.format(where=where, value=value, issuer=issuer, expected=audience)


def _check_subjects(where: str, condition: Condition) -> Iterator[Finding]:
    for value in condition.values:
        has_wildcard = any(wildcard in value for wildcard in WILDCARDS)
        if has_wildcard and condition.base in {EQUALS, EQUALS_ANY_CASE}:
            yield TrustFinding.LITERAL_WILDCARD.format(where=where, value=value)
        elif has_wildcard:
            namespace = value.removeprefix(SUBJECT_PREFIX).partition(":")[0]
            is_any = not value.startswith(SUBJECT_PREFIX) or any(wildcard in namespace for wildcard in WILDCARDS)
            yield (TrustFinding.SUBJECT_OF_ANY_NAMESPACE if is_any else TrustFinding.SUBJECT_WILDCARD).format(
                where=where, value=value
            )
        elif not value.startswith(SUBJECT_PREFIX) or value.count(":") != SUBJECT_PREFIX.count(":") + 1:
            yield TrustFinding.SUBJECT_INVALID.format(where=where, value=value)
