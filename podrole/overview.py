"""`podrole check -A` and `-n NAMESPACE` without a target: reads all workloads, and reports those that are not ok."""

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import NamedTuple

import contract
from injector.errors import ClusterError, ForbiddenError
from injector.k8s.client import ApiClient
from injector.k8s.objects import Object, read_mapping
from injector.k8s.pod_exec import RunningContainer, exec_command
from podrole.cluster.estate import fetch_estate
from podrole.cluster.owners import TargetError
from podrole.cluster.queries import fetch_installation, fetch_list
from podrole.cluster.workloads import add_dry_run
from podrole.diagnosis.overview.grouping import group_workloads
from podrole.diagnosis.overview.state import EstateState
from podrole.diagnosis.overview.workloads import OverviewResult, diagnose_estate, list_sidecars
from podrole.diagnosis.pods.decision_input import load_settings
from podrole.diagnosis.pods.progress import EVENT_REASONS
from podrole.diagnosis.pods.sidecar import STATUS_COMMAND
from podrole.diagnosis.state.cluster import Objects, ReadResult
from podrole.diagnosis.state.workload import CREATE_REASONS, WorkloadState, lacks_pods
from podrole.estate.objects import Estate, StatusEstate
from podrole.findings import Section, build_document, format_counts, format_number, format_sections, limit_findings
from podrole.progress import progress_message
from podrole.terminal import write, write_json

MAX_SIDECARS = 300
"""Statuses that are read at most. Each takes a process in the sidecar's container."""

MAX_DRY_RUNS = 20
"""Pods that are created in a dry run, one for each workload that lacks one."""

EXEC_THREADS = 8
BATCH = 40
"""Statuses between two progress messages."""


class Reads(NamedTuple):
    """What the user allows."""

    max_sidecars: int = MAX_SIDECARS
    dry_run: bool = True


def fetch_overview(client: ApiClient, namespace: str, reads: Reads) -> OverviewResult:
    """Read the workloads of a namespace, or of all if it is empty. Raises TargetError and ClusterError."""
    installation = fetch_installation(client)
    given = StatusEstate(is_complete=True)
    estate = fetch_estate(client, namespaces=[namespace] if namespace else (), estate=given)
    if namespace and namespace not in estate.namespaces and estate.is_known_to_miss("Namespace"):
        raise TargetError(f"namespace {namespace} does not exist")
    events = _fetch_events(client, namespace)
    states = group_workloads(estate, events.value)
    states = add_dry_runs(client, states) if reads.dry_run else states
    sidecars = list_sidecars(states)
    chosen = sidecars[: reads.max_sidecars]
    state = EstateState(
        installation,
        load_settings(installation, os.environ),
        estate,
        tuple(states),
        fetch_statuses(client, chosen),
        time.time(),
        events=events.value,
        events_error=events.error,
        daemon_sets=_find_daemon_sets(client, estate, namespace),
        statuses_omitted=len(sidecars) - len(chosen),
        namespace=namespace,
    )
    with progress_message(f"checking {format_number(len(states), 'workload')}"):
        return diagnose_estate(state)


def write_overview(result: OverviewResult, output: str) -> list[Section]:
    """Write what is not ok, and the counts; return all sections."""
    workloads = [section._replace(findings=tuple(limit_findings(section.findings))) for _, section in result.workloads]
    sections = [*workloads, result.cluster]
    if output == "json":
        write_json(_build_document(result))
    else:
        text = format_sections(sections)
        write(f"{text}\n\n{_format_counts(result)}\n{format_counts(sections)}".lstrip("\n"))
    return sections


def _build_document(result: OverviewResult) -> dict[str, object]:
    workloads = [
        {"workload": section.title, "pods": len(state.pods), "findings": build_document([section])}
        for state, section in result.workloads
    ]
    return {"workloads": workloads, "cluster": build_document([result.cluster]), "counts": dict(result.counts)}


def _format_counts(result: OverviewResult) -> str:
    counts = result.counts
    ok, workloads, pods, namespaces = (counts[key] for key in ("ok", "workloads", "pods", "namespaces"))
    of_all = f"{ok} of {format_number(workloads, 'workload')} {'is' if ok == 1 else 'are'} ok"
    text = f"{of_all} (pods: {pods}, namespaces: {namespaces})" if workloads else "No workload was checked"
    gaps = [f"{key.replace('_', ' ')}: {counts[key]}" for key in ("not_checked", "kinds_not_read") if counts[key]]
    return "; ".join((text, *gaps))


def _fetch_events(client: ApiClient, namespace: str) -> Objects:
    path = f"/api/v1/namespaces/{namespace}/events" if namespace else "/api/v1/events"
    lists = [
        fetch_list(client, f"events {reason}", path, fieldSelector=f"reason={reason}")
        for reason in sorted(CREATE_REASONS | EVENT_REASONS)
    ]
    errors = [one.error for one in lists if one.error]
    return ReadResult(tuple(event for one in lists for event in one.value), next(iter(errors), ""))


def _find_daemon_sets(client: ApiClient, estate: Estate, namespace: str) -> Objects:
    """Those of the estate, or all where the estate is one namespace."""
    if namespace:
        return fetch_list(client, "DaemonSets", "/apis/apps/v1/daemonsets")
    found = tuple(one.obj for one in estate.workloads if one.template.kind == "DaemonSet")
    return ReadResult(found, "" if estate.is_known_to_miss("DaemonSet") else "not every DaemonSet could be read")


def add_dry_runs(client: ApiClient, states: Sequence[WorkloadState]) -> list[WorkloadState]:
    """Create a pod in a dry run for each of the first MAX_DRY_RUNS workloads that lack one."""
    left = MAX_DRY_RUNS
    added = []
    for state in states:
        is_due = left > 0 and lacks_pods(state)
        left -= is_due
        added.append(add_dry_run(client, state) if is_due else state)
    return added


def fetch_statuses(client: ApiClient, pods: Sequence[Object]) -> Mapping[str, ReadResult[str | None]]:
    """The output of each sidecar's status command, by the pod's uid. Ends where the user has no permission."""
    is_forbidden = Event()

    def read(pod: Object) -> tuple[str, ReadResult[str | None]]:
        metadata = read_mapping(pod, "metadata")
        uid, namespace, name = (str(metadata.get(key)) for key in ("uid", "namespace", "name"))
        sidecar = RunningContainer(namespace, name, contract.SIDECAR_CONTAINER)
        if is_forbidden.is_set():
            return uid, ReadResult(None, "exec is forbidden")
        try:
            return uid, ReadResult(exec_command(client, sidecar, STATUS_COMMAND))
        except ForbiddenError as error:
            is_forbidden.set()
            return uid, ReadResult(None, str(error))
        except ClusterError as error:
            return uid, ReadResult(None, str(error))

    results: dict[str, ReadResult[str | None]] = {}
    with ThreadPoolExecutor(EXEC_THREADS) as pool:
        for start in range(0, len(pods), BATCH):
            end = min(start + BATCH, len(pods))
            with progress_message(f"reading the status of sidecars {start + 1} to {end} of {len(pods)}"):
                results.update(pool.map(read, pods[start:end]))
    return results
