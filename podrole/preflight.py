"""`podrole preflight`: what in a cluster stands in podrole's way. Reads, and hands over to `podrole.diagnosis`."""

import json
import os
import time
from functools import partial

import click

from injector.k8s.inspection import Inspector
from injector.k8s.kubeconfig import load_kubeconfig
from podrole.diagnosis.cluster import build_scene, diagnose_cluster
from podrole.diagnosis.dry_run import build_pod, choose_namespaces
from podrole.diagnosis.snapshot import Snapshot, take_snapshot
from podrole.findings import Level, build_document, choose_exit_code, format_counts, format_sections
from podrole.options import cluster_options
from podrole.progress import telling
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
    with Inspector(load_kubeconfig(kubeconfig, context)) as inspector:
        snapshot = fetch_installation(inspector)
        snapshot |= take_snapshot(list_cluster_reads(inspector, namespaces, snapshot), telling)
        if dry_run:
            snapshot |= _try_pods(inspector, snapshot, namespaces)
        else:
            snapshot |= Snapshot({"unwanted": ({},)})
    sections = diagnose_cluster(snapshot, os.environ, time.time())
    if output == "json":
        click.echo(json.dumps({"findings": build_document(sections)}, indent=2))
    else:
        click.echo(f"{format_sections(sections)}\n\n{format_counts(sections)}")
    raise SystemExit(choose_exit_code(sections, Level.PROBLEM))


def _try_pods(inspector: Inspector, snapshot: Snapshot, asked: tuple[str, ...]) -> Snapshot:
    setup = build_scene(snapshot, os.environ, 0).setup
    pod = build_pod(setup.config if setup else None)
    tries = [partial(try_pod, inspector, name, pod) for name in choose_namespaces(snapshot, asked)]
    return take_snapshot({"dry-runs": lambda: [attempt() for attempt in tries]}, telling)
