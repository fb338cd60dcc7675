"""The output of `podrole trust-policy`: roles with their users, findings, and the next steps."""

import json
import shlex
from collections.abc import Iterable
from typing import Any

from podrole.findings import Finding
from podrole.iam.documents import Policy
from podrole.iam.policies import TrustRequirements
from podrole.terminal import write


def build_entry(requirements: TrustRequirements, policy: Policy, claimants: list[str]) -> dict[str, Any]:
    """Build one role's entry of `--all --output json`."""
    return {
        "role": requirements.role_arn,
        "subjects": sorted(requirements.subjects),
        "claimed_by": claimants,
        "intermediate_roles": _list_intermediate_roles(requirements),
        "policy": policy,
    }


def format_entry(entry: dict[str, Any]) -> str:
    """Format one role's entry as text."""
    users = [f"  used by {subject}" for subject in entry["subjects"]]
    users += [f"  assumed from {role_arn}" for role_arn in entry["intermediate_roles"]]
    users += [f"  claimed by {subject}: no allow-list restricts its namespace" for subject in entry["claimed_by"]]
    return "\n".join([entry["role"], *users, json.dumps(entry["policy"], indent=2), ""])


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
