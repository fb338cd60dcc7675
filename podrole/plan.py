"""`podrole plan`: what podrole would change about the workloads of a cluster, or of manifests."""

from typing import Any

import click

from podrole.findings import Level, choose_exit_code
from podrole.options import (
    build_output_option,
    cluster_options,
    namespaces_option,
    optional_manifest_options,
    optional_settings_options,
    template_path_option,
)
from podrole.plan_report.output import write_plan
from podrole.plan_sources import plan_manifests

EXAMPLES = """\b
Examples:
  # The namespace of the current context
  podrole plan

\b
  # The whole cluster, as one file for a browser
  podrole plan -A -o html > plan.html

\b
  # Manifests, before they are applied, with the settings of the cluster to come
  podrole plan -f manifests/ -R --account-id 111122223333 --region eu-west-1

\b
  # Also whether the roles trust their pods already
  aws iam list-roles > roles.json
  podrole plan -A --policies roles.json

\b
  # For a program: the workloads that the webhook would deny
  podrole plan -A -o json | jq '.workloads[] | select(.then.outcome == "Deny") | [.namespace, .kind, .name]'

The exit code is 1 if the webhook would deny a workload, if one cannot get what its annotations say, or if a limit is in
the way; 3 if there is none of these, but something could not be read.
"""


@click.command(epilog=EXAMPLES)
@namespaces_option(
    "A namespace to plan; can be repeated. With -f: that of objects without one.  [default: the context's]"
)
@click.option("-A", "--all-namespaces", "is_for_all", is_flag=True, help="Plan all namespaces, and check the nodes.")
@optional_manifest_options
@template_path_option
@build_output_option("text", "json", "html", text="text; json for programs; html: one file for a browser.")
@click.option(
    "--policies",
    metavar="PATH",
    type=click.Path(exists=True),
    help="Check the roles' trust policies in this directory or file, as `aws iam list-roles` prints them.",
)
@click.option(
    "--issuer",
    metavar="URL",
    help="With --policies: the issuer of the cluster's tokens.  [default: the live cluster's]",
)
@cluster_options
@optional_settings_options
def plan(**options: Any) -> None:
    """Show what podrole would change about many workloads, before it does.

    For each workload: the role that its pods have now (of kube2iam, Kiam or IRSA) and the one that they would have, or
    why they would be denied; the mode; what the webhook would warn of; LimitRanges, quotas, and the CPU and memory that
    podrole adds; and the command that restarts it. Namespaces without podrole's label are shown as they would be with
    it. Nothing is changed.
    """
    if options["is_for_all"] and (options["namespaces"] or options["filenames"]):
        raise click.UsageError("-A cannot be combined with -n or -f")
    if options["filenames"] and len(options["namespaces"]) > 1:
        raise click.UsageError("with -f, --namespace can be given only once")
    if options["issuer"] and not options["policies"]:
        raise click.UsageError("--issuer is used only with --policies")
    if options["filenames"]:
        made = plan_manifests(options)
    else:
        from podrole.plan_cluster import plan_cluster  # noqa: PLC0415 - imports the Kubernetes client: half a second

        made = plan_cluster(options)
    write_plan(made, options["output"])
    raise SystemExit(choose_exit_code(made.sections, Level.WARNING))
