"""The requests that `check` makes about one workload: the object, its pods, its Jobs, events, a dry run."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from injector.errors import ClusterError
from injector.k8s.client import ApiClient
from injector.k8s.objects import Metadata, Object, parse_metadata, read_mapping, read_objects, read_service_account_name
from injector.k8s.workloads import find_templates
from injector.patch.uninject import build_uninject_patch
from podrole.cluster.owners import OWNERS, TargetError, find_path, find_selector, is_owner
from podrole.cluster.queries import fetch_list, fetch_object, run_dry_run
from podrole.diagnosis.pods.decision_input import DecisionInput, Settings
from podrole.diagnosis.pods.findings import ExpectedState
from podrole.diagnosis.state.cluster import DryRunResult, Installation, Objects, PodState, ReadResult
from podrole.diagnosis.state.versions import read_server_version
from podrole.diagnosis.state.workload import WorkloadState, lacks_pods
from podrole.diagnosis.workloads.new_pod import build_copy, build_new_pod
from podrole.estate.objects import place_template
from podrole.findings import Finding
from podrole.progress import progress_message

MAX_JOBS = 3
"""The newest of a CronJob whose pods are checked."""

REVISION = "deployment.kubernetes.io/revision"


class Target(NamedTuple):
    """The pods to check: one by name, or those of a workload."""

    namespace: str
    kind: str
    name: str


class Decisions(NamedTuple):
    """The input of decisions about a workload's pods, or the reason why there is none."""

    given: DecisionInput | None
    findings: tuple[Finding, ...]


def fetch_target(client: ApiClient, target: Target) -> Object:
    """The object that a target names. Raises TargetError where it does not exist, and ClusterError."""
    core = f"/api/v1/namespaces/{target.namespace}/pods"
    with progress_message(f"reading {target.kind} {target.name}"):
        path = core if target.kind == "pod" else find_path(client, target.namespace, target.kind)
        found = client.get_or_none(f"{path}/{target.name}") if path else None
    if found is None:
        is_kind = is_owner(target.namespace) and target.kind == "pod"
        hint = f": to check a {target.namespace}, set its namespace with -n" if is_kind else ""
        raise TargetError(f"{target.kind} {target.name} does not exist in namespace {target.namespace}{hint}")
    return found


def fetch_workload(client: ApiClient, target: Target, obj: Object) -> WorkloadState:
    """Read what belongs to a workload."""
    children = _fetch_children(client, target, obj)
    newest = children.value[-1:]
    return WorkloadState(
        obj,
        target.kind,
        templates=tuple(place_template(template.pod, target.namespace) for template in find_templates(obj)),
        children=children.value if target.kind == "cronjob" else (),
        pods=_fetch_pods(client, target, obj, children.value),
        events=_fetch_events(client, target.namespace, [obj, *newest]),
    )


def fetch_decisions(
    client: ApiClient, state: WorkloadState, installation: Installation, settings: Settings
) -> Decisions:
    """Read the namespace and the ServiceAccounts of a workload's templates."""
    path = f"/api/v1/namespaces/{state.namespace}"
    namespace = fetch_object(client, "the namespace", path)
    names = {read_service_account_name(template) for template in state.templates}
    accounts = {
        name: fetch_object(client, f"ServiceAccount {name}", f"{path}/serviceaccounts/{name}") for name in sorted(names)
    }
    errors = [one.error for one in (namespace, *accounts.values(), installation.version) if one.error]
    if errors and state.templates:
        return Decisions(None, (ExpectedState.CONTEXT_READ_FAILED.format(problem="; ".join(errors)),))
    if settings.effective_config is None:
        return Decisions(None, settings.findings)
    found = {name: _parse(account.value) for name, account in accounts.items()}
    version = read_server_version(installation.version.value)
    return Decisions(
        DecisionInput(settings.effective_config, _parse(namespace.value), found, version), settings.findings
    )


def add_dry_run(client: ApiClient, state: WorkloadState) -> WorkloadState:
    """Create one of the pods that a workload lacks, in a dry run."""
    if not lacks_pods(state) or not state.templates:
        return state
    pod = build_new_pod(state.templates[0], state.obj, state.kind)
    return replace(state, dry_run=_create(client, state.namespace, pod))


def add_copy(client: ApiClient, pod: Object, state: PodState) -> PodState:
    """Create the pod again in a dry run, as it was before its injection."""
    namespace = str(read_mapping(pod, "metadata").get("namespace"))
    return replace(state, dry_run=_create(client, namespace, build_copy(build_uninject_patch(pod).apply(pod))))


def _create(client: ApiClient, namespace: str, pod: Object) -> DryRunResult:
    try:
        with progress_message("creating a pod in a dry run"):
            return run_dry_run(client, namespace, pod)
    except ClusterError as error:
        return DryRunResult(namespace, None, str(error))


def _parse(obj: Object | None) -> Metadata | None:
    return None if obj is None else parse_metadata(obj)


def _fetch_children(client: ApiClient, target: Target, obj: Object) -> Objects:
    """The Jobs of a CronJob, or the ReplicaSets of another workload, the newest last."""
    root = f"namespaces/{target.namespace}"
    if target.kind == "cronjob":
        jobs = fetch_list(client, "the CronJob's Jobs", f"/apis/batch/v1/{root}/jobs")
        return _keep_owned(jobs, obj, {})
    if target.kind == "deployment" or target.kind not in OWNERS:  # such as a Rollout
        if not (selector := _find_selector(obj, target.kind)):
            return ReadResult(())
        path = f"/apis/apps/v1/{root}/replicasets"
        sets = fetch_list(client, "ReplicaSets", path, labelSelector=selector)
        return _keep_owned(sets, obj, {"annotation": REVISION})
    return ReadResult(())


def _keep_owned(children: Objects, owner: Object, by: Mapping[str, str]) -> Objects:
    uid = read_mapping(owner, "metadata").get("uid")

    def read_age(child: Object) -> tuple[int, str]:
        revision = parse_metadata(child).annotations.get(by.get("annotation", ""), "")
        created = str(read_mapping(child, "metadata").get("creationTimestamp") or "")
        return (int(revision) if revision.isascii() and revision.isdigit() else 0, created)

    owned = [one for one in children.value if _find_owner(one) == uid]
    return ReadResult((*sorted(owned, key=read_age)[-MAX_JOBS:],), children.error)


def _find_owner(child: Object) -> object:
    references = read_objects(read_mapping(child, "metadata"), "ownerReferences")
    return next((one.get("uid") for one in references if one.get("controller")), None)


def _fetch_pods(client: ApiClient, target: Target, obj: Object, jobs: tuple[Object, ...]) -> tuple[Object, ...]:
    """All pods of a workload. Raises ClusterError, and TargetError where they cannot be found."""
    path = f"/api/v1/namespaces/{target.namespace}/pods"
    if target.kind == "cronjob":
        names = ",".join(str(read_mapping(job, "metadata").get("name")) for job in jobs)
        selector = f"job-name in ({names})" if names else ""
    else:
        selector = _find_selector(obj, target.kind)
    with progress_message(f"reading the pods of {target.kind} {target.name}"):
        return (*client.list(path, query={"labelSelector": selector}),) if selector else ()


def _find_selector(obj: Object, kind: str) -> str:
    try:
        return find_selector(obj, kind)
    except TargetError:
        if any(find_templates(obj)):  # something can be said about new pods
            return ""
        raise


def _fetch_events(client: ApiClient, namespace: str, objects: list[Object]) -> Objects:
    path = f"/api/v1/namespaces/{namespace}/events"
    results = [
        fetch_list(
            client, "events", path, fieldSelector=f"involvedObject.uid={read_mapping(one, 'metadata').get('uid')}"
        )
        for one in objects
    ]
    errors = [one.error for one in results if one.error]
    return ReadResult(tuple(event for one in results for event in one.value), next(iter(errors), ""))
