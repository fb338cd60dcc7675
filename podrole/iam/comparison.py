"""Compares the use of roles with their existing policies: the changes, and what the operator must know about them."""

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from podrole.findings import Finding
from podrole.iam.changes import PolicyChange, build_change, find_trusted, find_unused
from podrole.iam.documents import PolicyError
from podrole.iam.policies import TrustRequirements
from podrole.iam.policy_files import ExistingPolicies, ExistingPolicy
from podrole.iam.usage import RoleUsage
from podrole.iam.usage_findings import UsageFinding


class Scope(NamedTuple):
    """What was read, so that what is missing there is known."""

    place: str
    """For sentences: `in the cluster`."""

    namespaces: tuple[str, ...] = ()
    """None: all."""

    is_complete: bool = True
    """Whether all users of the role were read; otherwise nothing is called unused."""


class Comparison(NamedTuple):
    """The policies of roles, and findings about the existing ones."""

    changes: tuple[PolicyChange, ...]
    findings: tuple[Finding, ...] = ()


def compare(usage: RoleUsage, existing: ExistingPolicies | None, issuer: str, scope: Scope) -> Comparison:
    """Build the policy of every role in use, from the existing one where it is given. Raises PolicyError."""
    if existing is None:
        return Comparison(tuple(build_change(one, issuer, None) for one in usage.requirements))
    changes, findings = [], []
    for required in usage.requirements:
        found = existing.find(required.role_arn)
        change = _build(required, found, issuer)
        unused = _find_unused(found, required.role_arn, issuer, usage, scope) if found else []
        changes.append(change._replace(unused=tuple(unused)))
        if found is None:
            findings.append(_report_missing(required.role_arn, existing))
        else:
            findings += _find_findings(found, required.role_arn, issuer, usage, scope)
    used = {one.role_arn for one in usage.requirements}
    for role_arn, found in existing.by_arn.items():
        if role_arn not in used:
            with suppress(PolicyError):  # somebody else's role
                findings += _find_findings(found, role_arn, issuer, usage, scope)
    return Comparison(tuple(changes), tuple(findings))


def _build(required: TrustRequirements, found: ExistingPolicy | None, issuer: str) -> PolicyChange:
    try:
        return build_change(required, issuer, found.policy if found else None)
    except PolicyError as error:
        raise PolicyError(f"{found.file if found else 'the policy'}: {required.role_arn}: {error}") from error


def _report_missing(role_arn: str, existing: ExistingPolicies) -> Finding:
    namesake = existing.find_namesake(role_arn)
    hint = f" It has {namesake}: check the path and the letters in the annotations." if namesake else ""
    return UsageFinding.POLICY_NOT_GIVEN.format(role=role_arn, name=role_arn.rpartition("/")[2], hint=hint)


def _find_findings(
    found: ExistingPolicy, role_arn: str, issuer: str, usage: RoleUsage, scope: Scope
) -> Iterator[Finding]:
    denied = usage.list_subjects(role_arn, UsageFinding.SUBJECT_DENIED)
    for subject in find_trusted(found.policy, role_arn, issuer, denied):
        yield UsageFinding.DENIED_SUBJECT_IN_POLICY.format(subject=subject, role=role_arn)
    for subject in _find_unused(found, role_arn, issuer, usage, scope):
        yield UsageFinding.UNUSED_SUBJECT_TRUSTED.format(subject=subject, role=role_arn, place=scope.place)


def _find_unused(found: ExistingPolicy, role_arn: str, issuer: str, usage: RoleUsage, scope: Scope) -> list[str]:
    """Find subjects for whom nothing names the role. Who was left out with a notice names it, for example for IRSA."""
    required = [one for one in usage.requirements if one.role_arn == role_arn]
    if not scope.is_complete or any(one.chained_roles for one in required):
        return []
    users = {subject for one in required for subject in one.subjects}
    users |= {one.subject for one in usage.notices if one.role_arn == role_arn}
    return find_unused(found.policy, role_arn, issuer, users, scope.namespaces)
