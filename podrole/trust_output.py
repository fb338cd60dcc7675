"""How `trust-policy` shows what it found: roles with their users, findings, and what to do next."""

import json
from collections.abc import Iterable
from typing import Any

import click

from podrole.findings import Finding
from podrole.iam.policies import TrustRequirements


def build_entry(needs: TrustRequirements, policy: dict[str, Any]) -> dict[str, Any]:
    """Build what `--all --output json` shows of a role."""
    chained_roles = sorted({chained_role.role_arn for chained_role in needs.chained_roles})
    return {"role": needs.role_arn, "subjects": sorted(needs.subjects), "through": chained_roles, "policy": policy}


def format_entry(needs: TrustRequirements, policy: dict[str, Any]) -> str:
    """Format the same for a person."""
    users = [f"  used by {subject}" for subject in sorted(needs.subjects)]
    users += [
        f"  assumed through {chained_role}"
        for chained_role in sorted({chained_role.role_arn for chained_role in needs.chained_roles})
    ]
    return "\n".join([needs.role_arn, *users, json.dumps(policy, indent=2), ""])


def tell(findings: Iterable[Finding]) -> None:
    """Tell findings beside a document that was printed."""
    for finding in findings:
        click.echo(f"{finding.level}: {finding.text} {finding.remedy}", err=True)


def tell_problems(problems: Iterable[str]) -> None:
    """Tell which annotations name no role."""
    for problem in problems:
        click.echo(f"problem: {problem}", err=True)


def tell_next_step(needs: TrustRequirements, *, is_merged: bool) -> None:
    """How to give the role its policy, without losing the one that it has."""
    name = needs.role_arn.rpartition("/")[2]
    if not is_merged:
        click.echo("This replaces the policy that the role has. --merge keeps what is in it:", err=True)
        click.echo(f"  aws iam get-role --role-name {name} | podrole trust-policy --merge - ...", err=True)
    click.echo("To set it, with the output in trust.json:", err=True)
    click.echo(f"  aws iam update-assume-role-policy --role-name {name} --policy-document file://trust.json", err=True)
    for chained_role in sorted({chained_role.role_arn for chained_role in needs.chained_roles}):
        click.echo(f"Its pods assume {chained_role} first: see podrole trust-policy {chained_role}", err=True)
