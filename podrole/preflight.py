"""`podrole preflight`: checks a cluster. Reads the cluster's state and passes it to `podrole.diagnosis`."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from injector.errors import ClusterError, ConfigError
from injector.k8s.client import ApiClient
from injector.k8s.kubeconfig import load_kubeconfig
from podrole.cluster.agents import add_agent_pods, add_agents
from podrole.cluster.probe_plan import ProbeOptions, check_namespace, describe_plan, format_plan, plan_probes
from podrole.cluster.probes import run_probes
from podrole.cluster.queries import fetch_cluster_state, fetch_installation, run_dry_runs
from podrole.cluster.rejected_workloads import add_rejected_workloads
from podrole.diagnosis.agents.check import list_agents
from podrole.diagnosis.agents.settings_file import format_settings
from podrole.diagnosis.cluster.checks import build_check_context, diagnose_cluster
from podrole.diagnosis.installation.settings_in_force import list_settings_in_force
from podrole.diagnosis.state.cluster import ClusterState, ProbeRun, ReadResult
from podrole.diagnosis.workloads.dry_run import MAX_DRY_RUNS, build_pod, limit_namespaces
from podrole.findings import Level, build_document, choose_exit_code, format_counts, format_sections
from podrole.options import NAMESPACE, cluster_options, namespaces_option, report_output_option
from podrole.terminal import write, write_json, write_manifests

STDOUT = "-"
EXAMPLES = """\b
Examples:
  # Before podrole is installed, and after each change of its configuration
  podrole preflight

\b
  # Only the namespaces of one team, with the permissions of that team
  podrole preflight --namespace team-a --namespace team-b

\b
  # Also what pods with podrole's rules, and with none, reach at the metadata addresses
  podrole preflight --probe

\b
  # Before kube2iam or Kiam is replaced: their settings as a file for an overlay
  podrole preflight --write-settings settings.env

\b
  # For a program: all problems
  podrole preflight --output json | jq '.findings[] | select(.level == "problem")'"""


@click.command(epilog=EXAMPLES)
@namespaces_option("A namespace to check; can be repeated.  [default: all labelled namespaces]")
@click.option(
    "--dry-run/--no-dry-run",
    default=True,
    help=(
        "Create a pod in a dry run, which stores nothing, in each --namespace, or in the first "
        f"{MAX_DRY_RUNS} labelled namespaces.  [default: dry-run]"
    ),
)
@click.option(
    "--probe/--no-probe",
    default=False,
    help=(
        "Create short-lived pods with the default runtime and each RuntimeClass, which show from inside what block, "
        "redirect and env mode let through. Deletes them.  [default: no-probe]"
    ),
)
@click.option(
    "--probe-namespace",
    metavar="NAME",
    type=NAMESPACE,
    help="An existing namespace for the probe pods, without podrole's label.  [default: a temporary one]",
)
@click.option(
    "--probe-image",
    metavar="IMAGE",
    help="The sidecar's image for the probe pods, such as before podrole is installed.  [default: the webhook's]",
)
@click.option("--probe-node", metavar="NAME", help="The node of the probe pods.  [default: any]")
@click.option(
    "--write-settings",
    metavar="FILE",
    help=(
        "Write the settings of kube2iam and Kiam as a new settings.env for kustomize. - for standard output, and "
        "nothing else."
    ),
)
@click.option("--print-probe", is_flag=True, help="Print what --probe would create, and do nothing else.")
@report_output_option
@cluster_options
def preflight(
    namespaces: tuple[str, ...], output: str, kubeconfig: str | None, context: str | None, **chosen: Any
) -> None:
    """Check whether a cluster is ready for podrole, or whether an installation works.

    Checks versions, nodes, other webhooks, PodSecurity, IRSA and node agents. Where podrole is installed, also its
    webhook, certificate, endpoints, configuration, and a pod in a dry run. Without --probe it changes nothing. What you
    have no permission to read is reported as unknown.
    """
    _check_new(chosen["write_settings"])
    probe_options = ProbeOptions(chosen["probe_namespace"], chosen["probe_image"], chosen["probe_node"])
    with ApiClient(load_kubeconfig(kubeconfig, context)) as client:
        if chosen["probe_namespace"]:
            check_namespace(client, chosen["probe_namespace"])
        cluster = add_agents(client, fetch_cluster_state(client, fetch_installation(client), namespaces))
        if chosen["print_probe"]:
            write_manifests(format_plan(plan_probes(client, cluster, os.environ, probe_options)))
            return
        if chosen["write_settings"]:
            _write_settings(cluster, chosen["write_settings"])
            if chosen["write_settings"] == STDOUT:
                return
        cluster = add_rejected_workloads(client, add_agent_pods(client, cluster, os.environ))
        cluster = _add_dry_runs(client, cluster) if chosen["dry_run"] else replace(cluster, dry_run_skipped=True)
        if chosen["probe"]:
            cluster = _add_probes(client, cluster, probe_options)
    sections = diagnose_cluster(cluster, os.environ, time.time())
    if output == "json":
        settings = list_settings_in_force(cluster.installation.deployed_env, os.environ)
        write_json({"findings": build_document(sections), "settings": [one._asdict() for one in settings]})
    else:
        write(f"{format_sections(sections)}\n\n{format_counts(sections)}")
    raise SystemExit(choose_exit_code(sections, Level.PROBLEM))


def _check_new(path: str | None) -> None:
    """Raise ConfigError if a file exists."""
    if path and path != STDOUT and Path(path).exists():
        raise ConfigError(
            f"--write-settings: {path} exists and stays as it is: name another file, or use - for standard output"
        )


def _write_settings(cluster: ClusterState, path: str) -> None:
    problems = [one.error for one in (cluster.daemon_sets, cluster.agent_servers) if one.error]
    if problems:
        raise ConfigError(f"--write-settings: the settings of kube2iam and Kiam are unknown: {'; '.join(problems)}")
    text = format_settings(list_agents(cluster), cluster.nodes.value)
    if path == STDOUT:
        write_manifests(text)
        return
    try:
        with Path(path).open("x", encoding="ascii") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"--write-settings: {path} cannot be written: {error.strerror}") from error
    write(f"podrole: wrote {path}", is_error=True)


def _add_dry_runs(client: ApiClient, cluster: ClusterState) -> ClusterState:
    effective_config = build_check_context(cluster, os.environ, 0).effective_config
    pod = build_pod(effective_config.config if effective_config else None)
    return replace(cluster, dry_runs=run_dry_runs(client, limit_namespaces(cluster), pod))


def _add_probes(client: ApiClient, cluster: ClusterState, options: ProbeOptions) -> ClusterState:
    try:
        plan = plan_probes(client, cluster, os.environ, options)
    except (ClusterError, ConfigError) as error:
        return replace(cluster, probes=ReadResult(ProbeRun(), " ".join(str(error).split())))
    write(f"podrole: creating {describe_plan(plan)}; all of it is deleted afterwards", is_error=True)
    return replace(cluster, probes=run_probes(client, plan))
