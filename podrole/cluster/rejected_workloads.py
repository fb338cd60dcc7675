"""Finds the workloads whose new pods podrole rejects now, for `podrole preflight`, by events of their controllers."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from injector.errors import ClusterError
from injector.k8s.client import ApiClient
from injector.k8s.objects import Object, read_mapping
from podrole.cluster.owners import OWNERS, find_path
from podrole.cluster.queries import fetch_list
from podrole.diagnosis.state.cluster import ClusterState, Installation, ReadResult
from podrole.diagnosis.state.workload import WorkloadState, lacks_pods, read_time
from podrole.diagnosis.workloads.creation import Rejection, may_recur
from podrole.progress import progress_message

MAX_WORKLOADS = 200
"""Workloads that are read: one that has all its pods again is none of them, however new its event is."""

REASON = "FailedCreate"
"""Of a controller's event about a pod that was not created. The API server keeps events for an hour."""


def add_rejected_workloads(client: ApiClient, cluster: ClusterState) -> ClusterState:
    """Name the workloads that lack pods and whose newest events say that podrole rejected one."""
    names = cluster.requested_namespaces
    paths = [f"/api/v1/namespaces/{name}/events" for name in names] or ["/api/v1/events"]
    events = fetch_list(client, "events about pods that were not created", *paths, fieldSelector=f"reason={REASON}")
    if events.error:
        return replace(cluster, rejected_workloads=ReadResult((), events.error))
    workloads = [*list_rejected(events.value, cluster.installation)]
    try:
        with progress_message("reading the workloads that lack pods"):
            found = tuple(name for one in workloads[:MAX_WORKLOADS] if (name := _find_name(client, *one)))
    except ClusterError as error:
        return replace(cluster, rejected_workloads=ReadResult((), str(error)))
    return replace(cluster, rejected_workloads=ReadResult(found + _format_others(workloads[MAX_WORKLOADS:])))


def list_rejected(events: Iterable[Object], installation: Installation) -> Iterator[tuple[str, str, str]]:
    """Namespace, kind and name of each workload of Kubernetes' own kinds whose newest event is about podrole.

    Events outlive a removal of podrole: they count while what rejected the pod is there.
    """
    by_workload: dict[tuple[str, str, str], list[Object]] = {}
    for event in events:
        workload = read_mapping(event, "involvedObject")
        namespace, kind, name = (str(workload.get(key)) for key in ("namespace", "kind", "name"))
        if kind.lower() in OWNERS:
            by_workload.setdefault((namespace, kind, name), []).append(event)
    for key, those in by_workload.items():
        newest = max(those, key=read_time)
        if may_recur(Rejection(str(newest.get("message")), ""), installation):
            yield key


def _find_name(client: ApiClient, namespace: str, kind: str, name: str) -> str | None:
    obj = client.get_or_none(f"{find_path(client, namespace, kind.lower())}/{name}")
    is_lacking = obj is not None and lacks_pods(WorkloadState(obj, kind.lower()))
    return f"{kind} {namespace}/{name}" if is_lacking else None


def _format_others(others: Sequence[tuple[str, str, str]]) -> tuple[str, ...]:
    """Those that were not read count as lacking pods: what is not checked must not look well."""
    return tuple(f"{kind} {namespace}/{name}" for namespace, kind, name in others)
