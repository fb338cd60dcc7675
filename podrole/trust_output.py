"""The output of `podrole trust-policy`: roles with their users, findings, and the next steps."""

import json
from collections.abc import Iterable
from typing import Any

import click

from podrole.findings import Finding
from podrole.iam.policies import TrustRequirements


def build_entry(requirements: TrustRequirements, policy: dict[str, Any]) -> dict[str, Any]:
    """Build one role's entry of `--all --output json`."""
    return {
        "role": requirements.role_arn,
        "subjects": sorted(requirements.subjects),
        "intermediate_roles": _list_intermediate_roles(requirements),
        "policy": policy,
    }


def format_entry(requirements: TrustRequirements, policy: dict[str, Any]) -> str:
    """Format one role's entry of `--all` as text."""
    users = [f"  used by {subject}" for subject in sorted(requirements.subjects)]
    users += [f"  assumed from {role_arn}" for role_arn in _list_intermediate_roles(requirements)]
    return "\n".join([requirements.role_arn, *users, json.dumps(policy, indent=2), ""])


def print_findings(findings: Iterable[Finding]) -> None:
    """Print findings on standard error, beside a document on standard output."""
    for finding in findings:
        click.echo(f"{finding.level}: {finding.text} {finding.remedy}".rstrip(), err=True)


def print_next_steps(requirements: TrustRequirements, *, is_merged: bool) -> None:
    """Print the commands that set the policy, and how to keep the existing one."""
    name = requirements.role_arn.rpartition("/")[2]
    if not is_merged:
        click.echo("This replaces the role's existing policy. --merge keeps its statements:", err=True)
        click.echo(f"  aws iam get-role --role-name {name} | podrole trust-policy --merge - ...", err=True)
    click.echo("To set it, with the output in trust.json:", err=True)
    click.echo(f"  aws iam update-assume-role-policy --role-name {name} --policy-document file://trust.json", err=True)
    for role_arn in _list_intermediate_roles(requirements):
        click.echo(f"Its pods assume {role_arn} first: see podrole trust-policy {role_arn}", err=True)


def _list_intermediate_roles(requirements: TrustRequirements) -> list[str]:
    return sorted({chained_role.role_arn for chained_role in requirements.chained_roles})
