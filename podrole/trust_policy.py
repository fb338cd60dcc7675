"""`podrole trust-policy`: prints, merges and checks trust policies of roles. `podrole.iam` knows what is in them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import click

from injector.errors import ConfigError
from injector.reasons import InvalidRoleError, Reason
from podrole.exit_codes import EXIT_FINDINGS
from podrole.findings import Level, Section, build_document, choose_exit_code, format_counts, format_sections
from podrole.iam.check import check_document, check_issuer, check_length
from podrole.iam.documents import Policy, PolicyError, parse_policy
from podrole.iam.policies import (
    TrustRequirements,
    build_statements,
    build_subject,
    build_trust_policy,
    merge,
    parse_issuer,
)
from podrole.iam.statements import ExpectedTrust
from podrole.iam.usage import Account
from podrole.options import account_options, cluster_options, load_account, optional_manifest_options
from podrole.role_sources import RoleUsageLoader
from podrole.trust_output import build_entry, format_entry, tell, tell_next_step, tell_problems
from podrole.yaml.documents import read_text

EXAMPLES = """\b
Examples:
  podrole trust-policy arn:aws:iam::111122223333:role/reader -n team-a -s web > trust.json
  aws iam update-assume-role-policy --role-name reader --policy-document file://trust.json

\b
  aws iam get-role --role-name reader | podrole trust-policy --merge - -n team-a -s web > trust.json
  aws iam get-role --role-name reader | podrole trust-policy --check - -n team-a -s web --cluster
  podrole trust-policy --all --account-id 111122223333

With --issuer, a namespace and a ServiceAccount no cluster is asked. `podrole --help` lists the exit codes.
"""

FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)


@click.command(epilog=EXAMPLES)
@click.argument("role", required=False)
@click.option("--all", "is_for_all", is_flag=True, help="Every role that annotations name, and who uses it.")
@click.option("--merge", "merge_file", metavar="FILE", type=FILE, help="Add to this policy, and keep all that it has.")
@click.option("--check", "check_file", metavar="FILE", type=FILE, help="Say what is wrong with this policy.")
@click.option("-n", "--namespace", metavar="NAME", help="The namespace of the pods.")
@click.option(
    "-s",
    "--service-account",
    "service_accounts",
    metavar="NAME",
    multiple=True,
    help="Their ServiceAccount. May be repeated; '*' is every one of the namespace.",
)
@click.option("--issuer", metavar="URL", help="The issuer of the cluster's tokens.  [default: the live cluster's]")
@click.option("--cluster", "is_live", is_flag=True, help="With --check: compare with the live cluster.")
@optional_manifest_options
@account_options
@cluster_options
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def trust_policy(role: str | None, **options: Any) -> None:
    """Print the IAM trust policy that ROLE needs so that pods can assume it with their own tokens.

    For the ServiceAccounts that are named, or for those that use the role in the live cluster (in manifests with -f).
    --merge takes a policy as the AWS CLI prints it and adds what is missing; --check says what is wrong with one. Both
    take what `aws iam get-role` prints.
    """
    account = load_account(options)
    with ExitStack() as stack:
        sources = RoleUsageLoader(options, account, stack)
        arn = _resolve(role, account) if role else None
        _check_usage(role, options)
        if options["check_file"]:
            raise SystemExit(_check(arn, sources))
        if options["is_for_all"]:
            raise SystemExit(_print_all(sources))
        raise SystemExit(_print_one(arn, sources))


def _resolve(role: str, account: Account) -> str:
    try:
        return account.resolve(role, "ROLE")
    except InvalidRoleError as error:
        hint = ", or give --account-id" if error.explanation.reason is Reason.ACCOUNT_NOT_CONFIGURED else ""
        raise ConfigError(f"{error}{hint}") from error


def _check_usage(role: str | None, options: Mapping[str, Any]) -> None:
    given = [name for name in ("is_for_all", "merge_file", "check_file") if options[name]]
    if options["is_for_all"] and options["merge_file"]:
        raise click.UsageError("--merge is for one role: see docs/cli.md for a loop over all")
    if len(given) > 1 or (role and options["is_for_all"]):
        raise click.UsageError("give one of ROLE, --all, --check and --merge; ROLE may stand beside the last two")
    if bool(options["namespace"]) != bool(options["service_accounts"]):
        raise click.UsageError("--namespace and --service-account belong together: a subject has both")


def _check(role_arn: str | None, sources: RoleUsageLoader) -> int:
    options = sources.options
    text = read_text(options["check_file"])
    if role_arn is None:
        role_arn = _find_role(text)
    is_compared = options["issuer"] or options["is_live"]
    issuer = parse_issuer(sources.issuer_url) if is_compared else None
    subjects = _build_subjects(options)
    if not subjects and role_arn and (options["is_live"] or options["filenames"]):
        subjects = [
            subject for needs in sources.usage.needs if needs.role_arn == role_arn for subject in needs.subjects
        ]
    expected = ExpectedTrust(issuer, role_arn, tuple(sorted(subjects)))
    with _error_context(options["check_file"]):
        findings = check_document(text, expected)
    section = Section(role_arn or options["check_file"], tuple(findings))
    if options["output"] == "json":
        click.echo(json.dumps(build_document([section]), indent=2))
    else:
        click.echo(f"{format_sections([section]).lstrip()}\n\n{format_counts([section])}")
    return choose_exit_code([section], Level.WARNING)


def _find_role(text: str) -> str | None:
    try:
        return parse_policy(text)[1]
    except PolicyError:
        return None


def _print_one(role_arn: str | None, sources: RoleUsageLoader) -> int:
    present, role_arn = _read_present(role_arn, sources.options["merge_file"])
    if role_arn is None:
        raise click.UsageError("name a ROLE, or give --all, --check or --merge with what `aws iam get-role` prints")
    needs = _find_needs(role_arn, sources)
    issuer = parse_issuer(sources.issuer_url)
    policy = build_trust_policy(needs, issuer)
    if present is not None:
        with _error_context(sources.options["merge_file"]):
            policy = merge(present, build_statements(needs, issuer))
    click.echo(json.dumps(policy, indent=2))
    findings = [*check_issuer(sources.issuer_url), *check_length(policy)]
    tell(findings)
    tell_next_step(needs, is_merged=present is not None)
    return choose_exit_code([Section("", tuple(findings))], Level.PROBLEM)


def _read_present(role_arn: str | None, file: str | None) -> tuple[Policy | None, str | None]:
    """The policy to merge into, and the role, which it may name."""
    if file is None:
        return None, role_arn
    with _error_context(file):
        policy, known_arn = parse_policy(read_text(file))
    if role_arn and known_arn and role_arn != known_arn:
        raise ConfigError(f"{file} is of the role {known_arn}, and not of {role_arn}")
    return policy, role_arn or known_arn


@contextmanager
def _error_context(file: str) -> Iterator[None]:
    """What is wrong with a policy is told with its file."""
    try:
        yield
    except PolicyError as error:
        raise ConfigError(f"{file}: {error}") from error


def _find_needs(role_arn: str, sources: RoleUsageLoader) -> TrustRequirements:
    if subjects := _build_subjects(sources.options):
        return TrustRequirements(role_arn, frozenset(subjects))
    found = next((needs for needs in sources.usage.needs if needs.role_arn == role_arn), None)
    if found is None:
        tell_problems(sources.usage.problems)
        raise ConfigError(f"nothing names the role {role_arn}: give --namespace and --service-account")
    return found


def _build_subjects(options: Mapping[str, Any]) -> list[str]:
    return [build_subject(options["namespace"], account) for account in options["service_accounts"]]


def _print_all(sources: RoleUsageLoader) -> int:
    needs, problems = sources.usage
    issuer = parse_issuer(sources.issuer_url)
    policies = [(one, build_trust_policy(one, issuer)) for one in needs]
    if sources.options["output"] == "json":
        click.echo(json.dumps([build_entry(one, policy) for one, policy in policies], indent=2))
    else:
        for one, policy in policies:
            click.echo(format_entry(one, policy))
    findings = [finding for _, policy in policies for finding in check_length(policy)]
    tell([*check_issuer(sources.issuer_url), *findings])
    tell_problems(problems)
    click.echo(f"{len(needs)} role{'' if len(needs) == 1 else 's'}", err=True)
    return EXIT_FINDINGS if problems else choose_exit_code([Section("", tuple(findings))], Level.PROBLEM)
