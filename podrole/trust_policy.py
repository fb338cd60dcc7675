"""`podrole trust-policy`: prints, merges and checks trust policies of roles. Their content is in `podrole.iam`."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import click

from injector.errors import ConfigError
from injector.reasons import InvalidRoleError, Reason
from podrole.error_context import error_context
from podrole.findings import (
    Level,
    Section,
    build_document,
    choose_exit_code,
)
from podrole.iam.admission import Account
from podrole.iam.check import check_issuer, check_length
from podrole.iam.documents import Policy, parse_policy
from podrole.iam.policies import (
    TrustRequirements,
    build_statements,
    build_trust_policy,
    merge,
    parse_issuer,
)
from podrole.iam.usage_findings import UsageFinding
from podrole.options import (
    account_options,
    cluster_options,
    load_account,
    optional_manifest_options,
    report_output_option,
    template_path_option,
)
from podrole.role_sources import RoleUsageLoader
from podrole.terminal import write, write_json
from podrole.trust_check import check_policy
from podrole.trust_output import build_entry, format_entry, print_findings, print_next_steps
from podrole.yaml.documents import read_text

EXAMPLES = """\b
Examples:
  # A policy for the ServiceAccount web of namespace team-a
  podrole trust-policy arn:aws:iam::111122223333:role/reader -n team-a -s web > trust.json
  aws iam update-assume-role-policy --role-name reader --policy-document file://trust.json

\b
  # Keep the statements of the existing policy, for example for kube2iam
  aws iam get-role --role-name reader | podrole trust-policy --merge - -n team-a -s web > trust.json

\b
  # Check an existing policy
  aws iam get-role --role-name reader | podrole trust-policy --check - -n team-a -s web --cluster

\b
  # Every role that the annotations of the cluster name
  podrole trust-policy --all --account-id 111122223333

With --issuer, --namespace and --service-account the command does not connect to a cluster. `podrole --help` lists the
exit codes.
"""

FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)


@click.command(epilog=EXAMPLES)
@click.argument("role", required=False)
@click.option(
    "--all", "is_for_all", is_flag=True, help="Print every role that annotations name, with its ServiceAccounts."
)
@click.option(
    "--merge", "merge_file", metavar="FILE", type=FILE, help="Add to this policy, and keep its statements. - is stdin."
)
@click.option("--check", "check_file", metavar="FILE", type=FILE, help="Check this policy. - is stdin.")
@click.option("-n", "--namespace", metavar="NAME", help="The namespace of the pods.")
@click.option(
    "-s",
    "--service-account",
    "service_accounts",
    metavar="NAME",
    multiple=True,
    help="The pods' ServiceAccount; can be repeated. '*': every one of the namespace.",
)
@click.option(
    "--include-unlabelled",
    is_flag=True,
    help="Include ServiceAccounts of namespaces without the label podrole.io/injection: enabled.",
)
@click.option(
    "--require-allow-list",
    is_flag=True,
    help="Leave out ServiceAccounts that claim a role in a namespace without an allow-list.",
)
@click.option("--issuer", metavar="URL", help="The issuer of the cluster's tokens.  [default: the live cluster's]")
@click.option("--cluster", "is_live", is_flag=True, help="With --check: compare the policy with the live cluster.")
@optional_manifest_options
@template_path_option
@account_options
@cluster_options
@report_output_option
def trust_policy(role: str | None, **options: Any) -> None:
    """Print the IAM trust policy that allows pods to assume ROLE with their own tokens.

    The policy is for the ServiceAccounts given by -n and -s, or for those that use the role in the live cluster, or in
    manifests with -f, as far as the webhook admits that. --merge adds the missing statements to an existing policy;
    --check reports its problems. Both accept the output of `aws iam get-role`.
    """
    account = load_account(options)
    with ExitStack() as stack:
        loader = RoleUsageLoader(options, account, stack)
        arn = _resolve(role, account) if role else None
        _check_usage(role, options)
        if options["check_file"]:
            raise SystemExit(check_policy(arn, loader))
        if options["is_for_all"]:
            raise SystemExit(_print_all(loader))
        raise SystemExit(_print_one(arn, loader))


def _resolve(role: str, account: Account) -> str:
    try:
        return account.resolve(role, "ROLE")
    except InvalidRoleError as error:
        hint = ", or set --account-id" if error.explanation.reason is Reason.ACCOUNT_NOT_CONFIGURED else ""
        raise ConfigError(f"{error}{hint}") from error


def _check_usage(role: str | None, options: Mapping[str, Any]) -> None:
    given = [name for name in ("is_for_all", "merge_file", "check_file") if options[name]]
    if options["is_for_all"] and options["merge_file"]:
        raise click.UsageError("--merge is for one role: docs/cli.md has a loop over all roles")
    if len(given) > 1 or (role and options["is_for_all"]):
        raise click.UsageError("use one of ROLE, --all, --check and --merge; ROLE can be combined with the last two")
    if bool(options["namespace"]) != bool(options["service_accounts"]):
        raise click.UsageError("--namespace and --service-account must be used together: a subject has both")


def _print_one(role_arn: str | None, loader: RoleUsageLoader) -> int:
    existing, role_arn = _read_existing(role_arn, loader.options["merge_file"])
    if role_arn is None:
        raise click.UsageError("set ROLE, or use --all, or --check or --merge with the output of `aws iam get-role`")
    issuer = parse_issuer(loader.issuer_url)
    requirements = _find_requirements(role_arn, loader)
    policy = build_trust_policy(requirements, issuer)
    if existing is not None:
        with error_context(loader.options["merge_file"]):
            policy = merge(existing, build_statements(requirements, issuer))
    write_json(policy)
    findings = [*check_issuer(loader.issuer_url), *check_length(policy), *loader.list_findings(role_arn)]
    print_findings(findings)
    print_next_steps(requirements, is_merged=existing is not None)
    return choose_exit_code([Section("", tuple(findings))], Level.PROBLEM)


def _read_existing(role_arn: str | None, file: str | None) -> tuple[Policy | None, str | None]:
    """Read the policy to merge into, and the role's ARN, which can be in it."""
    if file is None:
        return None, role_arn
    with error_context(file):
        policy, known_arn = parse_policy(read_text(file))
    if role_arn and known_arn and role_arn != known_arn:
        raise ConfigError(f"{file} is the policy of role {known_arn}, not of {role_arn}")
    return policy, role_arn or known_arn


def _find_requirements(role_arn: str, loader: RoleUsageLoader) -> TrustRequirements:
    if subjects := loader.subjects:
        return TrustRequirements(role_arn, frozenset(subjects), audiences=loader.audiences)
    found = next((one for one in loader.usage.requirements if one.role_arn == role_arn), None)
    if found is None:
        print_findings(loader.list_findings(role_arn))
        raise ConfigError(f"no annotation names the role {role_arn}: use --namespace and --service-account")
    return found


def _print_all(loader: RoleUsageLoader) -> int:
    usage = loader.usage
    issuer = parse_issuer(loader.issuer_url)
    policies = [(requirements, build_trust_policy(requirements, issuer)) for requirements in usage.requirements]
    findings = [
        *check_issuer(loader.issuer_url),
        *(finding for _, policy in policies for finding in check_length(policy)),
        *loader.list_findings(),
    ]
    entries = [
        build_entry(requirements, policy, usage.list_subjects(requirements.role_arn, UsageFinding.SELF_CLAIMED))
        for requirements, policy in policies
    ]
    if loader.options["output"] == "json":
        write_json({"roles": entries, "findings": build_document([Section("ServiceAccounts", tuple(findings))])})
    else:
        for entry in entries:
            write(format_entry(entry))
    print_findings(findings)
    write(f"{len(policies)} role{'' if len(policies) == 1 else 's'}", is_error=True)
    return choose_exit_code([Section("", tuple(findings))], Level.PROBLEM)
