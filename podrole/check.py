"""`podrole check`: explains a running pod. Reads its state and passes it to `podrole.diagnosis.pod`."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import click

from injector.k8s.client import ApiClient
from injector.k8s.kubeconfig import load_kubeconfig
from injector.k8s.objects import Object
from podrole.diagnosis.check_context import read_name
from podrole.diagnosis.cluster_state import Installation
from podrole.diagnosis.pod import diagnose_pod
from podrole.findings import Level, Section, build_document, choose_exit_code, format_counts, format_sections
from podrole.options import cluster_options, report_output_option
from podrole.owners import OWNERS, TargetError, find_path, find_selector, is_owner
from podrole.progress import progress_message
from podrole.queries import fetch_installation, fetch_pod_state
from podrole.terminal import write, write_json


class Target(NamedTuple):
    """The pods to check: one by name, or those that an owner selects."""

    namespace: str
    kind: str
    name: str


class PodDiagnosis(NamedTuple):
    """A pod's name and the findings about it."""

    pod: str
    sections: list[Section]


EXAMPLES = """\b
Examples:
  # One pod
  podrole check team-a/web-7d4b9c-x2x1k

\b
  # Every pod of a Deployment
  podrole check -n team-a deployment/web

\b
  # For a program: the codes of all problems
  podrole check team-a/web-7d4b9c-x2x1k --output json | jq '.pods[].findings[] | select(.level == "problem").code'"""


@click.command(epilog=EXAMPLES)
@click.argument("target", metavar="NAMESPACE/POD")
@click.option("-n", "--namespace", metavar="NAME", help="The namespace of the target, in place of NAMESPACE/.")
@report_output_option
@cluster_options
def check(target: str, namespace: str | None, output: str, kubeconfig: str | None, context: str | None) -> None:
    """Explain whether and how a running pod was injected.

    Reports whether the pod was injected, and if not, which selector or rule prevented it; what the webhook would do
    now; and the state of the injected containers. To check all pods of an owner, use deployment/NAME,
    statefulset/NAME, daemonset/NAME, replicaset/NAME, job/NAME; or a custom kind, such as rollout/NAME or
    cloneset.apps.kruise.io/NAME (docs/cli.md lists them).
    """
    parsed = parse_target(target, namespace)
    with ApiClient(load_kubeconfig(kubeconfig, context)) as client:
        pods = _find_pods(client, parsed)
        installation = fetch_installation(client)
        diagnoses = [_diagnose(client, pod, installation) for pod in pods]
    if output == "json":
        documents = [{"pod": diagnosis.pod, "findings": build_document(diagnosis.sections)} for diagnosis in diagnoses]
        write_json({"pods": documents})
    else:
        for pod, sections in diagnoses:
            write(f"pod {pod}\n{format_sections(sections)}\n\n{format_counts(sections)}")
    sections = [section for diagnosis in diagnoses for section in diagnosis.sections]
    raise SystemExit(choose_exit_code(sections, Level.WARNING))


def parse_target(target: str, namespace: str | None) -> Target:
    """Parse NAMESPACE/POD or NAMESPACE/KIND/NAME; with `namespace`, POD or KIND/NAME. Raises TargetError."""
    parts = target.split("/") if namespace is None else [namespace, *target.split("/")]
    match parts:
        case [namespace, name] if namespace and name:
            return Target(namespace, "pod", name)
        case [namespace, kind, name] if namespace and name and (kind.lower() == "pod" or is_owner(kind)):
            return Target(namespace, kind.lower(), name)
        case _:
            kinds = f"{', '.join(OWNERS)}, or a custom kind such as rollout"
            message = f"{target!r} is not a valid target: use NAMESPACE/POD, or -n NAMESPACE and KIND/NAME ({kinds})"
            raise TargetError(message)


def _find_pods(client: ApiClient, target: Target) -> Sequence[Object]:
    pods_path = f"/api/v1/namespaces/{target.namespace}/pods"
    with progress_message(f"reading {target.kind} {target.name}"):
        path = pods_path if target.kind == "pod" else find_path(client, target.namespace, target.kind)
        found = client.get_or_none(f"{path}/{target.name}") if path else None
        if found is None:
            raise TargetError(_format_not_found(target))
        if target.kind == "pod":
            return [found]
        pods = client.list(pods_path, query={"labelSelector": find_selector(found, target.kind)})
    if not pods:
        raise TargetError(f"{target.kind} {target.name} in namespace {target.namespace} has no pods")
    return pods


def _format_not_found(target: Target) -> str:
    hint = ""
    if is_owner(target.namespace) and target.kind == "pod":
        hint = f": to check a {target.namespace}, set its namespace with -n"
    return f"{target.kind} {target.name} does not exist in namespace {target.namespace}{hint}"


def _diagnose(client: ApiClient, pod: Object, installation: Installation) -> PodDiagnosis:
    state = fetch_pod_state(client, pod, installation)
    return PodDiagnosis(read_name(pod), diagnose_pod(pod, state, os.environ))
