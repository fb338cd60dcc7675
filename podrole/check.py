"""`podrole check`: explains a pod, a workload or all of them. Reads their state for `podrole.diagnosis`."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import click

from injector.k8s.client import ApiClient
from injector.k8s.kubeconfig import load_kubeconfig
from injector.k8s.objects import Object
from injector.value_types import DNS_LABEL, DNS_SUBDOMAIN
from podrole.cluster.owners import OWNERS, TargetError, is_owner, read_kind
from podrole.cluster.queries import fetch_installation, fetch_pod_state
from podrole.cluster.workloads import Target, add_copy, add_dry_run, fetch_decisions, fetch_target, fetch_workload
from podrole.diagnosis.pods.decision_input import Settings, load_settings
from podrole.diagnosis.pods.findings import ExpectedState
from podrole.diagnosis.pods.order import choose_pods
from podrole.diagnosis.pods.pod import diagnose_pod
from podrole.diagnosis.state.check_context import read_name
from podrole.diagnosis.state.cluster import Installation, ReadResult
from podrole.diagnosis.workloads.findings import WorkloadFinding
from podrole.diagnosis.workloads.workload import diagnose_workload
from podrole.findings import Level, Section, build_document, choose_exit_code, format_counts, format_sections
from podrole.options import NAMESPACE, cluster_options, report_output_option
from podrole.overview import MAX_SIDECARS, Reads, fetch_overview, write_overview
from podrole.terminal import write, write_json

MAX_PODS = 50
"""Of a workload that are reported in full: those that are not ready first."""

THREADS = 8


class PodDiagnosis(NamedTuple):
    """A pod's name and the findings about it."""

    pod: str
    sections: list[Section]


class Report(NamedTuple):
    """The findings about a workload, and about its pods."""

    workload: str
    """KIND NAMESPACE/NAME; empty where the target is a pod."""

    findings: list[Section]
    pods: list[PodDiagnosis]

    @property
    def sections(self) -> list[Section]:
        """All sections."""
        return [*self.findings, *(section for pod in self.pods for section in pod.sections)]


class Read(NamedTuple):
    """What was read for all pods."""

    installation: Installation
    settings: Settings
    workload: Object | None
    """None where the target is a pod."""


EXAMPLES = """\b
Examples:
  # One pod
  podrole check team-a/web-7d4b9c-x2x1k

\b
  # A Deployment, also without a pod, and every pod of it
  podrole check -n team-a deployment/web

\b
  # All workloads of a namespace, or of the cluster: only what is not ok
  podrole check -n team-a
  podrole check -A

\b
  # For a program: the codes of all problems
  podrole check team-a/web-7d4b9c-x2x1k --output json | jq '.pods[].findings[] | select(.level == "problem").code'"""


@click.command(epilog=EXAMPLES)
@click.argument("targets", metavar="[NAMESPACE/POD]", nargs=-1)
@click.option(
    "-n",
    "--namespace",
    metavar="NAME",
    type=NAMESPACE,
    help="The namespace of the target; without a target, all workloads in it.",
)
@click.option("-A", "--all-namespaces", is_flag=True, help="Check all workloads of the cluster.")
@click.option(
    "--max-sidecars",
    type=click.IntRange(0, 100_000),
    default=MAX_SIDECARS,
    show_default=True,
    help="Without a target: of how many sidecars to read the status, which takes an exec each.",
)
@click.option(
    "--dry-run/--no-dry-run",
    "may_create",
    default=True,
    help=(
        "Create a pod in a dry run, which stores nothing: one that a workload lacks, or a copy of one that another "
        "webhook changed.  [default: dry-run]"
    ),
)
@report_output_option
@cluster_options
def check(
    targets: tuple[str, ...], namespace: str | None, kubeconfig: str | None, context: str | None, **chosen: Any
) -> None:
    """Explain a pod, a workload, or all of them: what podrole did and would do, and why pods are missing.

    Reports whether a pod was injected, and if not, which selector or rule prevented it; what the webhook would do
    now; and the state of the injected containers. For a workload also whether it has its pods, why new ones are
    rejected, and what the webhook would do with them: deployment/NAME, statefulset/NAME, daemonset/NAME,
    replicaset/NAME, replicationcontroller/NAME, job/NAME, cronjob/NAME; or a custom kind, such as rollout/NAME or
    cloneset.apps.kruise.io/NAME (docs/cli.md lists them). Without a target, with -n or -A: every workload, but only
    what is not ok.
    """
    parsed = _parse_arguments(_join(targets, namespace), namespace, is_all=chosen["all_namespaces"])
    with ApiClient(load_kubeconfig(kubeconfig, context)) as client:
        if parsed is None:
            reads = Reads(chosen["max_sidecars"], chosen["may_create"])
            sections = write_overview(fetch_overview(client, namespace or "", reads), chosen["output"])
            raise SystemExit(choose_exit_code(sections, Level.WARNING))
        report = _report_target(client, parsed, may_create=chosen["may_create"])
    if chosen["output"] == "json":
        write_json(_build_document(report))
    else:
        _write_text(report)
    raise SystemExit(choose_exit_code(report.sections, Level.WARNING))


def _join(targets: tuple[str, ...], namespace: str | None) -> str | None:
    """Join KIND NAME, which kubectl accepts, to KIND/NAME."""
    is_kind = len(targets) == 2 and namespace is not None and is_owner(read_kind(targets[0]))  # noqa: PLR2004 - a pair
    if len(targets) > 1 and not is_kind:
        raise click.UsageError("name one target: NAMESPACE/POD, or -n NAMESPACE and KIND/NAME")
    return "/".join(targets) if targets else None


def _parse_arguments(target: str | None, namespace: str | None, *, is_all: bool) -> Target | None:
    """Return None for all workloads."""
    if target is not None and not is_all:
        return parse_target(target, namespace)
    if is_all and (target is not None or namespace is not None):
        raise click.UsageError("-A checks all workloads: name no target and no namespace with it")
    if not is_all and not namespace:
        raise click.UsageError("name a pod or a workload, or use -n NAMESPACE or -A for all workloads")
    return None


def parse_target(target: str, namespace: str | None) -> Target:
    """Parse NAMESPACE/POD or NAMESPACE/KIND/NAME; with `namespace`, POD or KIND/NAME. Raises TargetError."""
    parts = target.split("/") if namespace is None else [namespace, *target.split("/")]
    is_name = DNS_LABEL.accepts(parts[0]) and DNS_SUBDOMAIN.accepts(parts[-1])
    match parts:
        case [namespace, name] if is_name:
            return Target(namespace, "pod", name)
        case [namespace, kind, name] if is_name and (read_kind(kind) == "pod" or is_owner(read_kind(kind))):
            return Target(namespace, read_kind(kind), name)
        case _:
            kinds = f"{', '.join(OWNERS)}, or a custom kind such as rollout"
            message = f"{target!r} is not a valid target: use NAMESPACE/POD, or -n NAMESPACE and KIND/NAME ({kinds})"
            raise TargetError(message if is_name else f"{message}; names have only a-z, 0-9, - and .")


def _report_target(client: ApiClient, target: Target, *, may_create: bool) -> Report:
    obj = fetch_target(client, target)
    installation = fetch_installation(client)
    settings = load_settings(installation, os.environ)
    read = Read(installation, settings, None if target.kind == "pod" else obj)
    if target.kind == "pod":
        return Report("", [], _diagnose_pods(client, [obj], read, may_create=may_create))
    state = fetch_workload(client, target, obj)
    if may_create:
        state = add_dry_run(client, state)
    decisions = fetch_decisions(client, state, installation, settings)
    chosen = choose_pods(state.pods, MAX_PODS)
    findings = [*decisions.findings, *diagnose_workload(state, decisions.given)]
    if len(chosen) < len(state.pods):
        findings.append(WorkloadFinding.PODS_OMITTED.format(count=len(state.pods) - len(chosen), shown=len(chosen)))
    name = f"{target.kind} {target.namespace}/{target.name}"
    section = Section("Workload", tuple(findings))
    return Report(name, [section], _diagnose_pods(client, chosen, read, may_create=may_create))


def _diagnose_pods(client: ApiClient, pods: Sequence[Object], read: Read, *, may_create: bool) -> list[PodDiagnosis]:
    def diagnose(pod: Object) -> PodDiagnosis:
        state = replace(fetch_pod_state(client, pod, read.installation), workload=ReadResult(read.workload))
        sections = diagnose_pod(pod, state, os.environ, read.settings)
        if may_create and _is_changed(sections):
            sections = diagnose_pod(pod, add_copy(client, pod, state), os.environ, read.settings)
        return PodDiagnosis(read_name(pod), sections)

    with ThreadPoolExecutor(THREADS) as pool:
        return [*pool.map(diagnose, pods)]


def _is_changed(sections: Sequence[Section]) -> bool:
    return any(one.code == ExpectedState.DRIFTED.code for section in sections for one in section.findings)


def _build_document(report: Report) -> dict[str, object]:
    pods = [{"pod": one.pod, "findings": build_document(one.sections)} for one in report.pods]
    if not report.workload:
        return {"pods": pods}
    return {"workload": {"workload": report.workload, "findings": build_document(report.findings)}, "pods": pods}


def _write_text(report: Report) -> None:
    if report.workload:
        write(f"{report.workload}\n{format_sections(report.findings)}\n")
    for pod, sections in report.pods:
        write(f"pod {pod}\n{format_sections(sections)}\n")
    write(format_counts(report.sections))
