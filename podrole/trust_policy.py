"""`podrole trust-policy`: the options. Policies are in `podrole.iam`, what is printed in `podrole.trust.report`."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import click

from podrole.options import (
    NAMESPACE,
    account_options,
    cluster_options,
    load_account,
    optional_manifest_options,
    report_output_option,
    template_path_option,
)
from podrole.trust.check import check_policy
from podrole.trust.report import print_all, print_one
from podrole.trust.sources import RoleUsageLoader

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
  # Every role that annotations name: policies, back-ups of the existing ones, and a script that sets them
  aws iam list-roles > roles.json
  podrole trust-policy --all --policies roles.json --out trust

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
@click.option(
    "--policies",
    metavar="DIR",
    type=click.Path(exists=True),
    help="Add to the policies of these files: what `aws iam list-roles` or get-role printed, or ROLENAME.json.",
)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(),
    help="Write the policies, back-ups of the existing ones, and a script that sets them into this directory.",
)
@click.option("--check", "check_file", metavar="FILE", type=FILE, help="Check this policy. - is stdin.")
@click.option(
    "-n",
    "--namespace",
    "namespaces",
    metavar="NAME",
    multiple=True,
    help="The namespace of the pods. With --all: only these, can be repeated.",
)
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
@click.option(
    "--cluster",
    "is_live",
    is_flag=True,
    help="Ask the live cluster also with --check, --issuer or manifests: about ServiceAccounts and settings.",
)
@optional_manifest_options
@template_path_option
@account_options
@cluster_options
@report_output_option
def trust_policy(role: str | None, **options: Any) -> None:
    """Print the IAM trust policy that allows pods to assume ROLE with their own tokens.

    The policy is for the ServiceAccounts given by -n and -s, or for those that use the role in the live cluster, or in
    manifests with -f, as far as the webhook admits that. --merge and --policies add the missing statements to existing
    policies; --check reports the problems of one. All accept the output of `aws iam get-role`.
    """
    _check_usage(role, options)
    with ExitStack() as stack:
        loader = RoleUsageLoader(options, load_account(options), stack)
        arn = loader.resolve(role) if role else None
        if options["check_file"]:
            raise SystemExit(check_policy(arn, loader))
        if options["is_for_all"]:
            raise SystemExit(print_all(loader))
        raise SystemExit(print_one(arn, loader))


def _check_usage(role: str | None, options: Mapping[str, Any]) -> None:
    given = [name for name in ("is_for_all", "merge_file", "check_file") if options[name]]
    is_for_all, namespaces, names = options["is_for_all"], options["namespaces"], options["service_accounts"]
    if is_for_all and options["merge_file"]:
        raise click.UsageError("--merge is for one role: --policies has the policies of all of them")
    if len(given) > 1 or (role and is_for_all):
        raise click.UsageError("use one of ROLE, --all, --check and --merge; ROLE can be combined with the last two")
    if options["policies"] and (options["merge_file"] or options["check_file"]):
        raise click.UsageError("--policies is for --all or ROLE, without --merge and --check")
    if options["out"] and options["check_file"]:
        raise click.UsageError("--out writes policies, and --check only reads one: use one of them")
    for name in namespaces if is_for_all else ():  # otherwise it can have wildcards
        NAMESPACE.convert(name, None, None)
    if is_for_all and names:
        raise click.UsageError("--service-account is for one role: with --all use --namespace alone")
    if not is_for_all and bool(namespaces) != bool(names):
        raise click.UsageError("--namespace and --service-account must be used together: a subject has both")
    if names and len(namespaces) > 1:
        raise click.UsageError("--service-account belongs to one --namespace: run the command for each")
