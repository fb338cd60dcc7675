"""`podrole preflight`: what in a cluster stands in podrole's way. Reads, and hands over to `podrole.diagnosis`."""

import json
import os
import time
from functools import partial

import click

from injector.k8s.client import ApiClient
from injector.k8s.kubeconfig import load_kubeconfig
from podrole.diagnosis.cluster import build_check_context, diagnose_cluster
from podrole.diagnosis.dry_run import build_pod, choose_namespaces
from podrole.diagnosis.snapshot import Snapshot, take_snapshot
from podrole.findings import Level, build_document, choose_exit_code, format_counts, format_sections
from podrole.options import cluster_options
from podrole.progress import progress_message
from podrole.queries import fetch_installation, list_cluster_reads, try_pod

EXAMPLES = """\b
Before podrole is installed, and after each change of its configuration:
  podrole preflight
For one team's namespaces, with that team's rights:
  podrole preflight --namespace team-a --namespace team-b"""


@click.command(epilog=EXAMPLES)
@click.option(
    "-n",
    "--namespace",
    "namespaces",
    metavar="NAME",
    multiple=True,
    help="A namespace to look at; can be repeated.  [default: all that are labelled]",
)
@click.option(
    "--dry-run/--no-dry-run",
    default=True,
    help="Have the API server try a pod in each NAME, else in one labelled namespace. It stores nothing.",
)
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@cluster_options
def preflight(
    namespaces: tuple[str, ...], *, dry_run: bool, output: str, kubeconfig: str | None, context: str | None
) -> None:
    """Say what in a cluster would stand in podrole's way, or already does.

    Versions, other webhooks, PodSecurity, quotas, IRSA and node agents; and where podrole is installed, its
    registration, certificate, endpoints and configuration. Changes nothing. What you may not read is said.
    """
    with ApiClient(load_kubeconfig(kubeconfig, context)) as client:
        snapshot = fetch_installation(client)
        snapshot |= take_snapshot(list_cluster_reads(client, namespaces, snapshot), progress_message)
        if dry_run:
            snapshot |= _try_pods(client, snapshot, namespaces)
        else:
            snapshot |= Snapshot({"unwanted": ({},)})
    sections = diagnose_cluster(snapshot, os.environ, time.time())
    if output == "json":
        click.echo(json.dumps({"findings": build_document(sections)}, indent=2))
    else:
        click.echo(f"{format_sections(sections)}\n\n{format_counts(sections)}")
    raise SystemExit(choose_exit_code(sections, Level.PROBLEM))


def _try_pods(client: ApiClient, snapshot: Snapshot, asked: tuple[str, ...]) -> Snapshot:
    effective_config = build_check_context(snapshot, os.environ, 0).effective_config
    pod = build_pod(effective_config.config if effective_config else None)
    tries = [partial(try_pod, client, name, pod) for name in choose_namespaces(snapshot, asked)]
    return take_snapshot({"dry-runs": lambda: [attempt() for attempt in tries]}, progress_message)
