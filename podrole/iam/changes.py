"""What podrole would change in the existing policy of a role: who is new in it, already in it, or no longer needed."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from podrole.iam.conditions import EQUALS, LIKE, matches_pattern
from podrole.iam.documents import Policy, read_statements
from podrole.iam.policies import (
    SUBJECT_PREFIX,
    ChainedRole,
    Provider,
    TrustRequirements,
    build_statements,
    build_trust_policy,
    find_provider,
    merge,
)
from podrole.iam.statements import Statement, find_claim, read_statement

CLAIMS = ("aud", "sub")


class PolicyChange(NamedTuple):
    """A role's policy, and what is different from the existing one. All names are sorted."""

    requirements: TrustRequirements
    policy: Policy
    existing: Policy | None = None
    """None: it is not known."""

    new: tuple[str, ...] = ()
    """Subjects, and roles that pods assume first, that the existing policy does not trust."""

    present: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    """Subjects that the existing policy trusts and for whom nothing names the role."""

    @property
    def is_needed(self) -> bool:
        """Whether the existing policy is not known, or is to be changed."""
        return self.existing is None or self.policy != self.existing


def build_change(requirements: TrustRequirements, issuer: str, existing: Policy | None) -> PolicyChange:
    """Build the policy of a role: the existing one and what it lacks. Raises PolicyError."""
    if existing is None:
        return PolicyChange(requirements, build_trust_policy(requirements, issuer))
    provider = find_provider(requirements.role_arn, issuer)
    statements = [*_find_own(existing, provider)]
    trusted = {
        one for one in requirements.subjects if _is_trusted(one, requirements.find_audience(one), statements, provider)
    }
    chained = {one for one in requirements.chained_roles if _has_statement(existing, one, requirements, issuer)}
    missing = replace(
        requirements, subjects=requirements.subjects - trusted, chained_roles=requirements.chained_roles - chained
    )
    added = build_statements(missing, issuer)
    return PolicyChange(
        requirements,
        merge(existing, added) if added else existing,
        existing,
        _name(missing.subjects, missing.chained_roles),
        _name(trusted, chained),
    )


def find_unused(
    policy: Policy, role_arn: str, issuer: str, users: Collection[str], namespaces: Collection[str]
) -> list[str]:
    """Find the subjects of this issuer that a policy trusts and that are not among `users`, of some namespaces or all.

    A pattern is used when it matches one of them. Raises PolicyError.
    """
    provider = find_provider(role_arn, issuer)
    trusted = {
        value
        for statement in _find_own(policy, provider)
        for condition in statement.conditions
        if find_claim(condition.key.lower()) == (provider.issuer.lower(), "sub") and not condition.is_weak
        for value in condition.values
        if value not in users and not (condition.base == LIKE and any(matches_pattern(one, value) for one in users))
    }
    return sorted(
        one for one in trusted if not namespaces or one.removeprefix(SUBJECT_PREFIX).partition(":")[0] in namespaces
    )


def find_trusted(policy: Policy, role_arn: str, issuer: str, subjects: Iterable[str]) -> list[str]:
    """Find those of these subjects that a policy trusts, for tokens of any audience. Raises PolicyError."""
    provider = find_provider(role_arn, issuer)
    statements = [*_find_own(policy, provider)]
    return [one for one in subjects if any(statement.allows({"sub": one}, provider) for statement in statements)]


def _find_own(policy: Policy, provider: Provider) -> Iterator[Statement]:
    for number, content in enumerate(read_statements(policy), 1):
        statement = read_statement(number, content, is_outside_aws=True)
        if statement.is_allow and statement.has_web_identity_action and provider in statement.providers:
            yield statement


def _is_trusted(subject: str, audience: str, statements: Iterable[Statement], provider: Provider) -> bool:
    claims = {"aud": audience, "sub": subject}
    operators = (LIKE,) if "*" in subject else (EQUALS, LIKE)
    return any(
        statement.allows(claims, provider)
        and all((find_claim(one.key) or ("", ""))[1] in CLAIMS for one in statement.conditions)  # nothing else to meet
        and any(one.base in operators and one.matches(subject) for one in statement.conditions)
        for statement in statements
    )


def _has_statement(policy: Policy, chained_role: ChainedRole, requirements: TrustRequirements, issuer: str) -> bool:
    only = replace(requirements, subjects=frozenset(), chained_roles=frozenset([chained_role]))
    return len(merge(policy, build_statements(only, issuer))["Statement"]) == len(read_statements(policy))


def _name(subjects: Iterable[str], chained_roles: Iterable[ChainedRole]) -> tuple[str, ...]:
    return tuple(sorted({*subjects, *(one.role_arn for one in chained_roles)}))
