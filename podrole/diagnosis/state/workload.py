"""A workload, and what was read about it."""

from dataclasses import dataclass
from typing import NamedTuple

from injector.k8s.objects import Object, read_mapping, read_objects
from podrole.diagnosis.state.cluster import DryRunResult, Objects, ReadResult

CREATE_REASONS = {"FailedCreate", "ReplicaSetCreateError"}
"""Events of the controllers about a pod, a ReplicaSet or a Job that was not created."""

REPLICATED = {"deployment", "replicaset", "replicationcontroller", "statefulset"}
"""Kinds with spec.replicas, which is 1 where it is not set."""

NO_EVENTS: Objects = ReadResult(())


@dataclass(frozen=True, slots=True)
class WorkloadState:
    """A workload and its objects. Pure."""

    obj: Object
    kind: str
    """As a target names it: in lower case, with the group of a custom kind where it is given."""

    templates: tuple[Object, ...] = ()
    """Its pod templates."""

    children: tuple[Object, ...] = ()
    """The Jobs of a CronJob, the newest last."""

    pods: tuple[Object, ...] = ()
    events: Objects = NO_EVENTS
    """Of the workload, and of its newest ReplicaSet or Jobs."""

    dry_run: DryRunResult | None = None
    """Of a new pod."""

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(read_mapping(self.obj, "metadata").get("namespace"))

    @property
    def target(self) -> str:
        """KIND/NAME, for commands."""
        return f"{self.kind}/{read_mapping(self.obj, 'metadata').get('name')}"


class Replicas(NamedTuple):
    """Numbers of pods."""

    wanted: int
    existing: int
    current: int
    """Those with the current template; all where its kind does not count them."""

    ready: int

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return min(self.existing, self.current, self.ready) >= self.wanted


def read_replicas(obj: Object, kind: str) -> Replicas | None:
    """The numbers of a workload's status; None for kinds that have none, such as Jobs."""
    spec, status = read_mapping(obj, "spec"), read_mapping(obj, "status")
    if kind == "daemonset":
        wanted, existing = (_read_number(status, f"{key}NumberScheduled") for key in ("desired", "current"))
        current = _read_number(status, "updatedNumberScheduled")
        return Replicas(wanted, existing, current, _read_number(status, "numberReady"))
    if kind not in REPLICATED and (kind in {"job", "cronjob"} or not ("replicas" in spec or "replicas" in status)):
        return None
    existing = _read_number(status, "replicas")
    has_revisions = kind == "deployment" or "updateRevision" in status or "updatedReplicas" in status
    current = _read_number(status, "updatedReplicas") if has_revisions else existing
    if _is_updated_by_hand(spec, status, kind):
        current = existing
    return Replicas(_read_number(spec, "replicas", 1), existing, current, _read_number(status, "readyReplicas"))


def is_observed(obj: Object, kind: str) -> bool:
    """Whether the controller has seen the last change of a workload, so that the numbers of its status are about it."""
    if kind not in REPLICATED | {"daemonset"}:
        return True
    generation = _read_number(read_mapping(obj, "metadata"), "generation")
    return _read_number(read_mapping(obj, "status"), "observedGeneration") >= generation


def lacks_pods(state: WorkloadState) -> bool:
    """Whether its controller wants to create a pod, or another one, and has not."""
    if state.kind == "job":
        return job_lacks_pods(state.obj)
    if state.kind == "cronjob":
        return any(map(job_lacks_pods, state.children[-1:]))
    replicas = read_replicas(state.obj, state.kind) if is_observed(state.obj, state.kind) else None
    return replicas is not None and min(replicas.current, replicas.existing) < replicas.wanted


def job_lacks_pods(job: Object) -> bool:
    """Whether a Job runs without a pod."""
    spec, status = read_mapping(job, "spec"), read_mapping(job, "status")
    return not (spec.get("suspend") or find_job_end(job) or status.get("active"))


def find_job_end(job: Object) -> Object | None:
    """The condition of a Job that ended, or whose end is decided."""
    ends = ("Complete", "Failed", "SuccessCriteriaMet", "FailureTarget")
    return next((one for kind in ends if (one := find_condition(job, kind)) is not None), None)


def find_condition(obj: Object, kind: str, status: str = "True") -> Object | None:
    """The condition of a type, if it has this status."""
    conditions = read_objects(read_mapping(obj, "status"), "conditions")
    return next((one for one in conditions if one.get("type") == kind and one.get("status") == status), None)


def read_time(event: Object) -> str:
    """When an event was seen last; a time sorts after an unknown one, which is empty."""
    last = event.get("lastTimestamp") or read_mapping(event, "series").get("lastObservedTime")
    return str(last or event.get("eventTime") or read_mapping(event, "metadata").get("creationTimestamp") or "")


def find_creation_event(events: tuple[Object, ...]) -> Object | None:
    """The newest event about a pod that was not created."""
    found = [one for one in events if one.get("reason") in CREATE_REASONS and one.get("type") == "Warning"]
    return max(found, key=read_time, default=None)


def _is_updated_by_hand(spec: Object, status: Object, kind: str) -> bool:
    """A StatefulSet with OnDelete or a partition keeps older pods, and one without a change counts no updated ones."""
    if kind != "statefulset":
        return False
    strategy = read_mapping(spec, "updateStrategy")
    partition = _read_number(read_mapping(strategy, "rollingUpdate"), "partition")
    is_one_revision = status.get("currentRevision") == status.get("updateRevision")
    return strategy.get("type") == "OnDelete" or partition > 0 or is_one_revision


def _read_number(parent: Object, key: str, default: int = 0) -> int:
    value = parent.get(key, default)
    return value if isinstance(value, int) and not isinstance(value, bool) else default
