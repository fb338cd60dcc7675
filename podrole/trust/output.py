"""The output of `podrole trust-policy`: roles with their users, findings, and the next steps."""

import json
import shlex
from collections.abc import Iterable
from typing import Any

from podrole.findings import Finding
from podrole.iam.changes import PolicyChange
from podrole.iam.policies import TrustRequirements
from podrole.terminal import write


def build_entry(change: PolicyChange, claimants: list[str]) -> dict[str, Any]:
    """Build one role's entry of `--all --output json`."""
    requirements = change.requirements
    compared = None
    if change.existing is not None:
        compared = {
            "is_needed": change.is_needed,
            "new": [*change.new],
            "present": [*change.present],
            "unused": [*change.unused],
        }
    return {
        "role": requirements.role_arn,
        "subjects": sorted(requirements.subjects),
        "claimed_by": claimants,
        "intermediate_roles": _list_intermediate_roles(requirements),
        "policy": change.policy,
        "changes": compared,
    }


def format_entry(entry: dict[str, Any], *, has_policy: bool = True) -> str:
    """Format one role's entry as text."""
    policy = [json.dumps(entry["policy"], indent=2), ""] if has_policy else []
    return "\n".join([entry["role"], *format_users(entry), *policy])


def format_users(entry: dict[str, Any]) -> list[str]:
    """Format who uses a role, and whether the existing policy trusts them already."""
    changes = entry["changes"]
    marks: dict[str, str] = {}
    principals = [*entry["subjects"], *entry["intermediate_roles"]]
    if changes is not None:
        marks = {one: " (new)" if one in changes["new"] else " (already trusted)" for one in principals}
    lines = [f"  used by {subject}{marks.get(subject, '')}" for subject in entry["subjects"]]
    lines += [f"  assumed from {role_arn}{marks.get(role_arn, '')}" for role_arn in entry["intermediate_roles"]]
    lines += [f"  claimed by {subject}: no allow-list restricts its namespace" for subject in entry["claimed_by"]]
    if changes is not None:
        lines += [f"  trusted and not used: {subject}" for subject in changes["unused"]]
        lines += [] if changes["is_needed"] else ["  no change is needed"]
    return lines


def print_findings(findings: Iterable[Finding]) -> None:
    """Print findings on standard error, beside a document on standard output."""
    for finding in findings:
        write(f"{finding.level}: {finding.text} {finding.remedy}".rstrip(), is_error=True)


def print_next_steps(requirements: TrustRequirements, *, is_merged: bool) -> None:
    """Print the commands that set the policy, and how to keep the existing one."""
    name = shlex.quote(requirements.role_arn.rpartition("/")[2])
    if not is_merged:
        write("This replaces the role's existing policy. --merge keeps its statements:", is_error=True)
        write(f"  aws iam get-role --role-name {name} | podrole trust-policy --merge - ...", is_error=True)
    write("To set it, with the output in trust.json:", is_error=True)
    write(f"  aws iam update-assume-role-policy --role-name {name} --policy-document file://trust.json", is_error=True)
    for role_arn in _list_intermediate_roles(requirements):
        write(f"Its pods assume {role_arn} first: see podrole trust-policy {shlex.quote(role_arn)}", is_error=True)


def _list_intermediate_roles(requirements: TrustRequirements) -> list[str]:
    return sorted({chained_role.role_arn for chained_role in requirements.chained_roles})
