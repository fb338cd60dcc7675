"""`podrole trust-policy --check`: compares a policy with the cluster's issuer and the accounts that use the role."""

from collections.abc import Iterable
from dataclasses import replace

import contract
from podrole.error_context import error_context
from podrole.findings import (
    Finding,
    Level,
    Section,
    build_document,
    choose_exit_code,
    format_counts,
    format_sections,
    limit_findings,
)
from podrole.iam.check import check_document
from podrole.iam.documents import PolicyError, parse_policy
from podrole.iam.findings import TrustFinding
from podrole.iam.policies import parse_issuer
from podrole.iam.statements import ExpectedTrust
from podrole.iam.usage_findings import UsageFinding
from podrole.role_sources import RoleUsageLoader
from podrole.terminal import write, write_json
from podrole.yaml.documents import read_text


def check_policy(role_arn: str | None, loader: RoleUsageLoader) -> int:
    """Print the findings about a policy, and return the exit code."""
    options = loader.options
    text = read_text(options["check_file"])
    if role_arn is None:
        role_arn = _find_role(text)
    is_compared = options["issuer"] or options["is_live"]
    issuer = parse_issuer(loader.issuer_url) if is_compared else None
    subjects = loader.subjects
    audiences = dict(loader.audiences)
    findings = loader.list_findings() if subjects else []
    denied: list[str] = []
    if not subjects and role_arn and (options["is_live"] or options["filenames"]):
        # Notes: nothing is wrong with the policy because somebody names its role.
        findings = [finding._replace(level=Level.NOTE) for finding in loader.list_findings(role_arn)]
        users = [one for one in loader.usage.requirements if one.role_arn == role_arn]
        subjects = [subject for one in users for subject in one.subjects]
        audiences = {subject: one.find_audience(subject) for one in users for subject in one.subjects}
        denied = loader.usage.list_subjects(role_arn, UsageFinding.SUBJECT_DENIED)
    default = loader.account.audience or contract.TOKEN_AUDIENCE
    expected = ExpectedTrust(
        issuer, role_arn, tuple(sorted(subjects)), audiences, default, loader.account.is_outside_aws
    )
    with error_context(options["check_file"]):
        findings = [*check_document(text, expected), *_find_trusted(denied, text, expected), *findings]
    section = Section(role_arn or options["check_file"], tuple(findings))
    if options["output"] == "json":
        write_json(build_document([section]))
    else:
        write(f"{format_sections([section]).lstrip()}\n\n{format_counts([section])}")
    return choose_exit_code([section], Level.WARNING)


def _find_trusted(denied: Iterable[str], text: str, expected: ExpectedTrust) -> list[Finding]:
    """Find the accounts that the policy trusts, for example since an earlier print, although the webhook does not."""
    subjects = {TrustFinding.SUBJECT_ALLOWED.format(subject=one): one for one in denied}
    found = check_document(text, replace(expected, subjects=tuple(subjects.values()))) if subjects else []
    trusted = [UsageFinding.DENIED_SUBJECT_TRUSTED.format(subject=subjects[one]) for one in found if one in subjects]
    return limit_findings(trusted)


def _find_role(text: str) -> str | None:
    try:
        return parse_policy(text)[1]
    except PolicyError:
        return None
