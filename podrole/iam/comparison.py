"""Compares the use of roles with their existing policies: the changes, and what the operator must know about them."""

from collections import defaultdict
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
    """Empty: all."""

    is_complete: bool = True
    """Whether all users of the role were read; otherwise nothing is called unused."""

    has_all_roles: bool = True
    """Whether all roles in use are known; otherwise existing policies of other roles are not looked at."""


class Comparison(NamedTuple):
    """The policies of roles, and findings about the existing ones."""

    changes: tuple[PolicyChange, ...]
    findings: tuple[Finding, ...] = ()


class _Users(NamedTuple):
    """Who uses which role. An account can have as many roles as there are users, so each is looked up."""

    required: dict[str, TrustRequirements]
    noticed: dict[str | None, set[str]]
    """Subjects with a notice about a role."""

    denied: dict[str | None, list[str]]


def compare(usage: RoleUsage, existing: ExistingPolicies | None, issuer: str, scope: Scope) -> Comparison:
    """Build the policy of every role in use, from the existing one where it is given. Raises PolicyError."""
    if existing is None:
        return Comparison(tuple(build_change(one, issuer, None) for one in usage.requirements))
    users = _sort(usage)
    changes: list[PolicyChange] = []
    findings: list[Finding] = []
    for role_arn, required in users.required.items():
        found = existing.find(role_arn)
        change = _build(required, found, issuer)
        if found is None:
            findings.append(_report_missing(role_arn, existing))
        else:
            change = change._replace(unused=tuple(_find_unused(found, role_arn, issuer, users, scope)))
            findings += _find_findings(found, role_arn, issuer, users, scope)
        changes.append(change)
    for role_arn, found in existing.by_arn.items() if scope.has_all_roles else ():
        if role_arn not in users.required:
            with suppress(PolicyError):  # somebody else's role
                findings += _find_findings(found, role_arn, issuer, users, scope)
    return Comparison(tuple(changes), tuple(findings))


def _sort(usage: RoleUsage) -> _Users:
    denied = usage.sort_subjects(UsageFinding.SUBJECT_DENIED)
    users = _Users({one.role_arn: one for one in usage.requirements}, defaultdict(set), denied)
    for notice in usage.notices:
        users.noticed[notice.role_arn].add(notice.subject)
    return users


def _build(required: TrustRequirements, found: ExistingPolicy | None, issuer: str) -> PolicyChange:
    try:
        return build_change(required, issuer, found.policy if found else None)
    except PolicyError as error:
        raise PolicyError(f"{found.file if found else 'the policy'}: {required.role_arn}: {error}") from error


def _report_missing(role_arn: str, existing: ExistingPolicies) -> Finding:
    namesake = existing.find_namesake(role_arn)
    hint = f" It has {namesake}: check the path and the letters in the annotations." if namesake else ""
    return UsageFinding.POLICY_NOT_GIVEN.format(role=role_arn, name=role_arn.rpartition("/")[2], hint=hint)


def _find_findings(found: ExistingPolicy, role_arn: str, issuer: str, users: _Users, scope: Scope) -> Iterator[Finding]:
    for subject in find_trusted(found.policy, role_arn, issuer, users.denied.get(role_arn, ())):
        yield UsageFinding.DENIED_SUBJECT_IN_POLICY.format(subject=subject, role=role_arn)
    for subject in _find_unused(found, role_arn, issuer, users, scope):
        yield UsageFinding.UNUSED_SUBJECT_TRUSTED.format(subject=subject, role=role_arn, place=scope.place)


def _find_unused(found: ExistingPolicy, role_arn: str, issuer: str, users: _Users, scope: Scope) -> list[str]:
    """Find subjects for whom nothing names the role. Who was left out with a notice names it, for example for IRSA."""
    required = users.required.get(role_arn)
    if not scope.is_complete or (required and required.chained_roles):
        return []
    known = {*(required.subjects if required else ()), *users.noticed.get(role_arn, ())}
    return find_unused(found.policy, role_arn, issuer, known, scope.namespaces)
