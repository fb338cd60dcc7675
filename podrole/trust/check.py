"""`podrole trust-policy --check`: compares a policy with the cluster's issuer and the accounts that use the role."""

from collections.abc import Iterable
from dataclasses import replace

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
from podrole.iam.documents import MAX_BYTES, PolicyError, parse_policy
from podrole.iam.findings import TrustFinding
from podrole.iam.policies import parse_issuer
from podrole.iam.statements import ExpectedTrust
from podrole.iam.usage import RoleUsage
from podrole.iam.usage_findings import UsageFinding
from podrole.manifests.error_context import error_context
from podrole.terminal import write, write_json
from podrole.trust.sources import RoleUsageLoader
from podrole.yaml.documents import read_text

ABOUT_NAMED = {UsageFinding.SUBJECT_DENIED.code, UsageFinding.NAMED_NOT_CHECKED.code}


def check_policy(role_arn: str | None, loader: RoleUsageLoader) -> int:
    """Print the findings about a policy, and return the exit code."""
    options = loader.options
    text = read_text(options["check_file"], MAX_BYTES)
    if role_arn is None:
        role_arn = _find_role(text)
    is_compared = options["issuer"] or options["is_live"]
    issuer = parse_issuer(loader.issuer_url) if is_compared else None
    usage = _find_usage(role_arn, loader)
    users = [one for one in usage.requirements if role_arn in {None, one.role_arn}]
    audiences = {subject: one.find_audience(subject) for one in users for subject in one.subjects}
    denied = usage.sort_subjects(UsageFinding.SUBJECT_DENIED).get(role_arn, []) if role_arn else []
    expected = ExpectedTrust(
        issuer, role_arn, tuple(sorted(audiences)), audiences, loader.audience, loader.account.is_outside_aws
    )
    notices = [*usage.list_findings(role_arn), *loader.settings_findings]
    with error_context(options["check_file"]):
        findings = [*check_document(text, expected), *_find_trusted(denied, text, expected)]
    findings += limit_findings(_lower(one, is_named=bool(loader.named)) for one in notices)
    section = Section(role_arn or options["check_file"], tuple(findings))
    if options["output"] == "json":
        write_json(build_document([section]))
    else:
        write(f"{format_sections([section]).lstrip()}\n\n{format_counts([section])}")
    return choose_exit_code([section], Level.WARNING)


def _find_usage(role_arn: str | None, loader: RoleUsageLoader) -> RoleUsage:
    if loader.named:
        return loader.find_named(role_arn) if role_arn else loader.find_unchecked()
    is_read = loader.options["is_live"] or loader.options["filenames"]
    return loader.usage if role_arn and is_read else RoleUsage((), ())


def _lower(found: Finding, *, is_named: bool) -> Finding:
    """Make a note of it: nothing is wrong with a policy because somebody names its role."""
    return found if is_named and found.code in ABOUT_NAMED else found._replace(level=Level.NOTE)


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
