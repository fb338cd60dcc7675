"""What is wrong with a statement for an OIDC provider: its provider, its action, its conditions."""

from collections.abc import Iterator

import contract
from injector.decision.roles import ARN
from podrole.findings import Finding
from podrole.iam.conditions import EQUALS, EQUALS_ANY_CASE, Condition
from podrole.iam.findings import TrustFinding
from podrole.iam.policies import SUBJECT_PREFIX, Provider
from podrole.iam.statements import ExpectedTrust, Statement, find_claim

SCHEMES = ("https://", "http://")
WILDCARDS = ("*", "?")


def check_web_identity(statement: Statement, expected: ExpectedTrust, *, is_issuer_met: bool) -> Iterator[Finding]:
    """Look at everything. `is_issuer_met`: a statement is for the cluster's own issuer, so another need not be."""
    for arn in statement.principals.get("Federated", ()):
        if "oidc-provider" not in arn and not arn.startswith(SCHEMES):
            continue  # SAML, Cognito, Google: not for pods
        provider = next((one for one in statement.providers if one.arn == arn), None)
        if provider is None:
            yield TrustFinding.BAD_PROVIDER.format(where=statement.where, value=arn)
            continue
        yield from _check_provider(provider, statement, expected, is_issuer_met=is_issuer_met)
        if not statement.has_web_identity_action:
            actions = ", ".join(statement.actions)
            yield TrustFinding.WRONG_ACTION.format(where=statement.where, actions=actions or "no action")
        yield from _check_conditions(statement, provider)


def _check_provider(
    provider: Provider, statement: Statement, expected: ExpectedTrust, *, is_issuer_met: bool
) -> Iterator[Finding]:
    where, issuer = statement.where, provider.issuer
    if issuer.startswith(SCHEMES):
        yield TrustFinding.SCHEME_IN_ISSUER.format(
            where=where, value=provider.arn, expected=_strip_scheme(provider.arn)
        )
    elif expected.issuer and issuer != expected.issuer:
        is_near = issuer.rstrip("/").lower() == expected.issuer.rstrip("/").lower()
        if is_near or not is_issuer_met:
            yield TrustFinding.OTHER_ISSUER.format(where=where, issuer=issuer, expected=expected.issuer)
    role = ARN.fullmatch(expected.role_arn or "")
    if role and role["partition"] != provider.partition:
        yield TrustFinding.OTHER_PARTITION.format(where=where, partition=provider.partition, expected=role["partition"])
    if role and role["account"] != provider.account_id:
        yield TrustFinding.OTHER_ACCOUNT.format(where=where, account=provider.account_id, expected=role["account"])


def _strip_scheme(text: str) -> str:
    for scheme in SCHEMES:
        text = text.replace(scheme, "")
    return text


def _check_conditions(statement: Statement, provider: Provider) -> Iterator[Finding]:
    where, issuer = statement.where, _strip_scheme(provider.issuer)
    others = []
    for condition in statement.conditions:
        claim = find_claim(condition.key)
        if condition.key.lower() == "sts:externalid":
            yield TrustFinding.EXTERNAL_ID.format(where=where)
        elif claim is None or claim[1] not in {"aud", "sub"}:
            others.append(condition.key)
        elif claim[0].lower() != issuer.lower():
            yield TrustFinding.DEAD_KEY.format(where=where, key=condition.key, expected=f"{issuer}:{claim[1]}")
        elif condition.is_weak:
            yield TrustFinding.WEAK_OPERATOR.format(where=where, operator=condition.operator, key=condition.key)
        elif claim[1] == "aud":
            yield from _check_audience(where, condition, issuer)
        else:
            yield from _check_subjects(where, condition)
    if others:
        yield TrustFinding.OTHER_CONDITIONS.format(where=where, keys=", ".join(others))
    claims = {claim[1] for condition in statement.conditions if (claim := find_claim(condition.key))}
    if "aud" not in claims:
        yield TrustFinding.AUDIENCE_MISSING.format(where=where, issuer=issuer)
    if "sub" not in claims:
        yield TrustFinding.SUBJECT_MISSING.format(where=where, issuer=issuer)


def _check_audience(where: str, condition: Condition, issuer: str) -> Iterator[Finding]:
    if not condition.matches(contract.TOKEN_AUDIENCE):
        yield TrustFinding.WRONG_AUDIENCE.format(
            where=where, value=", ".join(condition.values) or "nothing", issuer=issuer
        )


def _check_subjects(where: str, condition: Condition) -> Iterator[Finding]:
    for value in condition.values:
        has_wildcard = any(wildcard in value for wildcard in WILDCARDS)
        if has_wildcard and condition.base in {EQUALS, EQUALS_ANY_CASE}:
            yield TrustFinding.LITERAL_WILDCARD.format(where=where, value=value)
        elif has_wildcard:
            namespace = value.removeprefix(SUBJECT_PREFIX).partition(":")[0]
            is_any = not value.startswith(SUBJECT_PREFIX) or any(wildcard in namespace for wildcard in WILDCARDS)
            yield (TrustFinding.ANY_SUBJECT if is_any else TrustFinding.ANY_ACCOUNT).format(where=where, value=value)
        elif not value.startswith(SUBJECT_PREFIX) or value.count(":") != SUBJECT_PREFIX.count(":") + 1:
            yield TrustFinding.BAD_SUBJECT.format(where=where, value=value)
