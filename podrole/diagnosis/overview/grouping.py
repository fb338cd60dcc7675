"""Groups the pods, Jobs and events of an estate by workload."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from injector.k8s.objects import Object, read_mapping, read_name
from injector.k8s.workload_kinds import BUILT_IN_GROUPS
from injector.k8s.workloads import read_group_kind
from podrole.diagnosis.pods.injection import find_controller, find_workload
from podrole.diagnosis.state.cluster import ReadResult
from podrole.diagnosis.state.workload import WorkloadState
from podrole.estate.objects import Estate

Key = tuple[str, str, str, str]
"""Namespace, kind, name and API group."""

GROUPS = {"CronJob": "batch", "Deployment": "apps", "Rollout": "argoproj.io"}
"""Of workloads that own their pods through another object."""

OWN_EVENTS = {"daemonset", "statefulset", "replicaset", "replicationcontroller", "job", "cronjob", "pod"}
"""Kinds that create pods themselves, and not through a ReplicaSet."""


@dataclass
class _Group:
    """A workload, while its objects are collected."""

    obj: Object
    templates: list[Object] = field(default_factory=list)
    jobs: list[Object] = field(default_factory=list)
    pods: list[Object] = field(default_factory=list)


def group_workloads(estate: Estate, events: Iterable[Object] = ()) -> list[WorkloadState]:
    """Every workload and every pod without one, in the order of namespaces and names.

    Pods of a controller that was not read are grouped by its name. `events` are those about pods that were not created.
    """
    groups = _collect_workloads(estate)
    job_owners = _assign_jobs(groups)
    for one in estate.workloads:
        if one.template.kind == "Pod":
            _assign_pod(groups, job_owners, one.namespace, one.obj)
    by_uid = index_events(events)
    states = (_build_state(key, group, by_uid) for key, group in groups.items() if key not in job_owners)
    return sorted(states, key=lambda state: (state.namespace, state.target))


def _collect_workloads(estate: Estate) -> dict[Key, _Group]:
    groups: dict[Key, _Group] = {}
    for namespace, template, obj in estate.workloads:
        if template.kind != "Pod":
            key = (namespace, template.kind, template.name, read_group_kind(obj)[0])
            groups.setdefault(key, _Group(obj)).templates.append(template.pod)
    return groups


def _assign_jobs(groups: Mapping[Key, _Group]) -> dict[Key, Key]:
    """Add the Jobs of a CronJob to it; return the owner of each Job that was read."""
    owners = {}
    for key, group in groups.items():
        if key[1] == "Job" and (owner := _find_owner(key[0], group.obj)) and owner in groups:
            owners[key] = owner
            groups[owners[key]].jobs.append(group.obj)
    return owners


def _assign_pod(groups: dict[Key, _Group], job_owners: Mapping[Key, Key], namespace: str, pod: Object) -> None:
    key = _find_owner(namespace, pod)
    if key is None:
        groups[namespace, "Pod", read_name(read_mapping(pod, "metadata")), ""] = _Group(pod, pods=[pod])
        return
    key = job_owners.get(key, key)
    groups.setdefault(key, _Group({"metadata": {"namespace": namespace, "name": key[2]}})).pods.append(pod)


def _find_owner(namespace: str, obj: Object) -> Key | None:
    """The workload of a pod or a Job."""
    owner, reference = find_workload(obj), find_controller(obj)
    if owner is None or reference is None:
        return None
    group, kind = read_group_kind(reference)
    return (namespace, *owner, group if kind == owner[0] else GROUPS.get(owner[0], group))


def index_events(events: Iterable[Object]) -> dict[object, list[Object]]:
    """Sort events by the uid of their object; those of a ReplicaSet also by the names of its namespace and owner."""
    by_key: dict[object, list[Object]] = {}
    for event in events:
        subject = read_mapping(event, "involvedObject")
        by_key.setdefault(subject.get("uid"), []).append(event)
        if subject.get("kind") == "ReplicaSet":
            owner = str(subject.get("name")).rpartition("-")[0]  # as a Deployment and a Rollout name it
            by_key.setdefault((str(subject.get("namespace")), owner), []).append(event)
    return by_key


def _build_state(key: Key, group: _Group, events: Mapping[object, list[Object]]) -> WorkloadState:
    group_name = read_group_kind(group.obj)[0]
    kind = key[1].lower() if group_name in BUILT_IN_GROUPS else f"{key[1]}.{group_name}".lower()
    jobs = tuple(sorted(group.jobs, key=lambda job: str(read_mapping(job, "metadata").get("creationTimestamp"))))
    uids = [read_mapping(one, "metadata").get("uid") for one in (group.obj, *jobs[-1:])]
    keys = [*uids, (key[0], key[2])] if kind not in OWN_EVENTS else uids
    found = tuple(event for one in keys if one for event in events.get(one, ()))
    metadata = {"namespace": key[0], **read_mapping(group.obj, "metadata")}
    state = WorkloadState({**group.obj, "metadata": metadata}, kind, tuple(group.templates), jobs, tuple(group.pods))
    return replace(state, events=ReadResult(found))
