"""`podrole check`: what became of a running pod. Reads, and hands over to `podrole.diagnosis.pod`."""

import json
import os
from collections.abc import Sequence
from typing import NamedTuple

import click

from injector.errors import InjectorError
from injector.k8s.client import ApiClient
from injector.k8s.kubeconfig import load_kubeconfig
from injector.k8s.objects import Object, read_mapping
from podrole.diagnosis.pod import diagnose_pod
from podrole.diagnosis.selectors import format_selector
from podrole.diagnosis.snapshot import Snapshot, take_snapshot
from podrole.findings import Level, Section, build_document, choose_exit_code, format_counts, format_sections
from podrole.options import cluster_options
from podrole.progress import progress_message
from podrole.queries import fetch_installation, list_pod_reads

OWNERS = {
    "daemonset": "apis/apps/v1",
    "deployment": "apis/apps/v1",
    "job": "apis/batch/v1",
    "replicaset": "apis/apps/v1",
    "statefulset": "apis/apps/v1",
}
"""Kinds that select pods, and where the API has them."""


class TargetError(InjectorError):
    """What was asked about is not there, or is nothing that has pods."""


class Target(NamedTuple):
    """Which pods are asked about: one by name, or those that an owner selects."""

    namespace: str
    kind: str
    name: str


class PodDiagnosis(NamedTuple):
    """A pod's name and the findings about it."""

    pod: str
    sections: list[Section]


EXAMPLES = """\b
  podrole check team-a/web-7d4b9c-x2x1k
  podrole check -n team-a deployment/web"""


@click.command(epilog=EXAMPLES)
@click.argument("target", metavar="NAMESPACE/POD")
@click.option("-n", "--namespace", metavar="NAME", help="The namespace, if TARGET does not begin with it.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@cluster_options
def check(target: str, namespace: str | None, output: str, kubeconfig: str | None, context: str | None) -> None:
    """Say what became of a running pod, and why.

    Whether it was injected, and if not, which selector or rule stopped it; what it would get now; what its sidecar
    says. In place of the pod an owner can be named: deployment/NAME, statefulset/NAME, daemonset/NAME, job/NAME.
    """
    wanted = parse_target(target, namespace)
    with ApiClient(load_kubeconfig(kubeconfig, context)) as client:
        pods = _find_pods(client, wanted)
        shared = fetch_installation(client)
        diagnoses = [_diagnose(client, pod, shared) for pod in pods]
    if output == "json":
        told = [{"pod": one.pod, "findings": build_document(one.sections)} for one in diagnoses]
        click.echo(json.dumps({"pods": told}, indent=2))
    else:
        for one in diagnoses:
            click.echo(f"pod {one.pod}\n{format_sections(one.sections)}\n\n{format_counts(one.sections)}")
    raise SystemExit(choose_exit_code([section for one in diagnoses for section in one.sections], Level.WARNING))


def parse_target(target: str, namespace: str | None) -> Target:
    """Read NAMESPACE/POD or NAMESPACE/KIND/NAME; with a namespace given, POD or KIND/NAME."""
    parts = target.split("/") if namespace is None else [namespace, *target.split("/")]
    match parts:
        case [place, name] if place and name:
            return Target(place, "pod", name)
        case [place, kind, name] if place and name and kind.lower() in {*OWNERS, "pod"}:
            return Target(place, kind.lower(), name)
        case _:
            message = (
                f"{target!r} names no pod: write NAMESPACE/POD, or -n NAMESPACE and KIND/NAME ({', '.join(OWNERS)})"
            )
            raise TargetError(message)


def _find_pods(client: ApiClient, target: Target) -> Sequence[Object]:
    place = f"/api/v1/namespaces/{target.namespace}/pods"
    path = f"{place}/{target.name}"
    if target.kind != "pod":
        path = f"/{OWNERS[target.kind]}/namespaces/{target.namespace}/{target.kind}s/{target.name}"
    with progress_message(f"reading {target.kind} {target.name}"):
        found = client.get_or_none(path)
        if found is None:
            raise TargetError(_explain_absence(target))
        if target.kind == "pod":
            return [found]
        selector = format_selector(read_mapping(read_mapping(found, "spec"), "selector"))
        pods = client.list(place, query={"labelSelector": selector})
    if not pods:
        raise TargetError(f"{target.kind} {target.name} in namespace {target.namespace} has no pod now")
    return pods


def _explain_absence(target: Target) -> str:
    hint = ""
    if target.namespace in OWNERS and target.kind == "pod":
        hint = f": to ask about a {target.namespace}, give its namespace with -n"
    return f"there is no {target.kind} {target.name} in namespace {target.namespace}{hint}"


def _diagnose(client: ApiClient, pod: Object, shared: Snapshot) -> PodDiagnosis:
    metadata = read_mapping(pod, "metadata")
    snapshot = shared | take_snapshot(list_pod_reads(client, pod), progress_message)
    return PodDiagnosis(f"{metadata.get('namespace')}/{metadata.get('name')}", diagnose_pod(pod, snapshot, os.environ))
