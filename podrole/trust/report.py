"""What `podrole trust-policy` prints: the policy of one role or of all, with what is new in each."""

from collections.abc import Sequence

import click

from injector.errors import ConfigError
from podrole.findings import Finding, Level, Section, build_document, choose_exit_code, format_number, limit_findings
from podrole.iam.check import check_issuer, check_length
from podrole.iam.comparison import Comparison, Scope, compare
from podrole.iam.documents import MAX_BYTES, parse_policy
from podrole.iam.policies import parse_issuer
from podrole.iam.policy_files import ExistingPolicies, ExistingPolicy
from podrole.iam.usage_findings import UsageFinding
from podrole.manifests.error_context import error_context
from podrole.terminal import write, write_json
from podrole.trust.directory import write_directory
from podrole.trust.existing_policies import load_policy_directory
from podrole.trust.output import build_entry, format_entry, format_users, print_findings, print_next_steps
from podrole.trust.sources import RoleUsageLoader
from podrole.yaml.documents import read_text

MAX_PROBLEMS = 5
"""Files of --policies with problems that one message names."""


def print_one(role_arn: str | None, loader: RoleUsageLoader) -> int:
    """Print the policy of one role, and return the exit code."""
    existing, role_arn = _read_existing(role_arn, loader)
    if role_arn is None:
        raise click.UsageError("set ROLE, or use --all, or --check or --merge with the output of `aws iam get-role`")
    issuer = parse_issuer(loader.issuer_url)
    usage = loader.find_named(role_arn) if loader.named else loader.usage
    required = tuple(one for one in usage.requirements if one.role_arn == role_arn)
    notices = [*usage.list_findings(role_arn), *loader.settings_findings]
    if not required:
        return _report_no_policy(role_arn, notices, loader)
    only = existing and existing.select(role_arn)
    scope = _build_scope(loader)._replace(has_all_roles=False)
    compared = compare(usage._replace(requirements=required), only, issuer, scope)
    findings = [*_check(compared, loader), *limit_findings([*notices, *compared.findings])]
    _print_only_change(compared, findings, loader.options["out"])
    return choose_exit_code([Section("", tuple(findings))], Level.PROBLEM)


def _report_no_policy(role_arn: str, notices: Sequence[Finding], loader: RoleUsageLoader) -> int:
    print_findings(limit_findings(notices))
    if not loader.named:
        raise ConfigError(f"no annotation names the role {role_arn}: use --namespace and --service-account")
    write("The webhook admits none of these ServiceAccounts, so there is no policy.", is_error=True)
    return choose_exit_code([Section("", tuple(notices))], Level.PROBLEM)


def _print_only_change(compared: Comparison, findings: Sequence[Finding], out: str | None) -> None:
    """Print the policy, or write it to a directory, and then what to know about it."""
    [change] = compared.changes
    is_merged = change.existing is not None
    steps = write_directory(out, compared.changes) if out else []
    if not out:
        write_json(change.policy)
    print_findings(findings)
    for line in (*(format_users(build_entry(change, [])) if is_merged else ()), *steps):
        write(line, is_error=True)
    if not out:
        print_next_steps(change.requirements, is_merged=is_merged)


def print_all(loader: RoleUsageLoader) -> int:
    """Print the policy of every role in use, and return the exit code."""
    existing, _ = _read_existing(None, loader)
    usage = loader.usage
    compared = compare(usage, existing, parse_issuer(loader.issuer_url), _build_scope(loader))
    notices = [*usage.list_findings(), *loader.settings_findings, *compared.findings]
    checked = _check(compared, loader)
    findings = [*limit_findings(checked), *limit_findings(notices)]
    claimants = usage.sort_subjects(UsageFinding.SELF_CLAIMED)
    entries = [build_entry(one, claimants.get(one.requirements.role_arn, [])) for one in compared.changes]
    out = loader.options["out"]
    steps = write_directory(out, compared.changes) if out else []
    if loader.options["output"] == "json":
        every = Section("ServiceAccounts", (*checked, *notices))
        write_json({"roles": entries, "findings": build_document([every])})
    else:
        for entry in entries:
            write(format_entry(entry, has_policy=not out))
    print_findings(findings)
    write(format_number(len(entries), "role"), is_error=True)
    for line in steps:
        write(line, is_error=True)
    return choose_exit_code([Section("", tuple(findings))], Level.PROBLEM)


def _build_scope(loader: RoleUsageLoader) -> Scope:
    place = "in the manifests" if loader.options["filenames"] else "in the cluster"
    if loader.namespaces:
        place = "in these namespaces"
    return Scope(place, loader.namespaces, is_complete=not loader.named)


def _check(compared: Comparison, loader: RoleUsageLoader) -> Sequence[Finding]:
    lengths = [
        finding._replace(text=f"{change.requirements.role_arn}: {finding.text}")
        for change in compared.changes
        for finding in check_length(change.policy)
    ]
    return [*check_issuer(loader.issuer_url), *lengths]


def _read_existing(role_arn: str | None, loader: RoleUsageLoader) -> tuple[ExistingPolicies | None, str | None]:
    """Read the policies to merge into, and the role's ARN, which can be in the file of --merge."""
    options = loader.options
    if options["policies"]:
        found = load_policy_directory(options["policies"])
        if found.problems:
            more = len(found.problems) - MAX_PROBLEMS
            listed = "\n".join(found.problems[:MAX_PROBLEMS]) + (f"\nand {more} more" if more > 0 else "")
            raise ConfigError(f"--policies {options['policies']} is not complete:\n{listed}")
        return found, role_arn
    file = options["merge_file"]
    if file is None:
        return None, role_arn
    with error_context(file):
        policy, known_arn = parse_policy(read_text(file, MAX_BYTES))
    if role_arn and known_arn and role_arn != known_arn:
        raise ConfigError(f"{file} is the policy of role {known_arn}, not of {role_arn}")
    arn = role_arn or known_arn
    return ExistingPolicies({arn: ExistingPolicy(arn, policy, file)} if arn else {}), arn
