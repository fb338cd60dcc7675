"""The objects of a cluster, or of manifests, that determine which pod gets which role."""

from dataclasses import dataclass, field, replace
from typing import ClassVar, NamedTuple

from injector.errors import ForbiddenError
from injector.k8s.objects import Metadata, Object, parse_metadata, read_mapping
from injector.k8s.workload_kinds import WORKLOAD_KINDS, Kinds
from injector.k8s.workloads import PodTemplate, find_templates
from podrole.estate.unknown_templates import UnchangedObject, find_unchanged


def place_template(pod: Object, namespace: str) -> Object:
    """The pod template as a pod of a namespace, which messages name. One that cannot be read stays as it is."""
    metadata = pod.get("metadata") or {}
    if not isinstance(metadata, dict) or metadata.get("namespace") == namespace:
        return pod
    return {**pod, "metadata": {**metadata, "namespace": namespace}}


class Workload(NamedTuple):
    """A pod template, or a pod, with the object that it is in. The template names its namespace, as its pods do."""

    namespace: str
    template: PodTemplate
    obj: Object
    """The workload, or the pod itself."""


LIST_PERMISSIONS = (
    "docs/cli.md lists the permissions. With -n NAMESPACE those on pods and workloads suffice in that namespace."
)


class UnreadKind(NamedTuple):
    """Objects of a kind that could not be read."""

    kind: str
    error: Exception
    is_custom: bool
    """Whether it is no kind of Kubernetes itself."""

    @property
    def remedy(self) -> str:
        """What to do, also about an object of another form than podrole knows."""
        return LIST_PERMISSIONS if isinstance(self.error, ForbiddenError) else ""


@dataclass
class Estate:
    """Namespaces, ServiceAccounts and workloads; each `add` sorts one object in."""

    namespaces: dict[str, Metadata] = field(default_factory=dict)
    terminating: set[str] = field(default_factory=set)
    """Namespaces that are being deleted: no pod can be created in them, and their ServiceAccounts can be gone."""

    accounts: dict[tuple[str, str], Metadata] = field(default_factory=dict)
    """By namespace and name."""

    workloads: list[Workload] = field(default_factory=list)
    unknown: list[tuple[str, UnchangedObject]] = field(default_factory=list)
    """Namespace, and an object whose pods have an account that podrole cannot read."""

    limit_ranges: dict[str, list[Object]] = field(default_factory=dict)
    """By namespace."""

    quotas: dict[str, list[Object]] = field(default_factory=dict)
    """By namespace."""

    unread: list[UnreadKind] = field(default_factory=list)
    unread_names: set[str] = field(default_factory=set)
    """The names of these kinds, such as `Namespace`."""

    is_complete: bool = False
    """Whether what is missing here does not exist. Manifests can leave out a namespace or a ServiceAccount."""

    with_owned: ClassVar[bool] = False
    """Whether it also takes what an owner keeps as its history, such as the ReplicaSets of a Deployment."""

    with_status: ClassVar[bool] = False
    """Whether its objects have their status, and completed Jobs and failed pods are among them."""

    kinds: Kinds = field(default_factory=lambda: WORKLOAD_KINDS)

    def is_known_to_miss(self, kind: str) -> bool:
        """Whether an object of a kind that is missing here does not exist."""
        return self.is_complete and kind not in self.unread_names

    def add(self, thing: Object, default_namespace: str = "default") -> None:
        """Add an object. Raises ObjectError."""
        metadata = read_mapping(thing, "metadata")
        name, namespace = str(metadata.get("name")), str(metadata.get("namespace") or default_namespace)
        match thing.get("kind"):
            case "Namespace":
                self.namespaces[name] = parse_metadata(thing)
                if metadata.get("deletionTimestamp"):
                    self.terminating.add(name)
            case "ServiceAccount":
                self.accounts[namespace, name] = parse_metadata(thing)
            case "LimitRange":
                self.limit_ranges.setdefault(namespace, []).append(thing)
            case "ResourceQuota":
                self.quotas.setdefault(namespace, []).append(thing)
            case _:
                for one in find_templates(thing, self.kinds):
                    placed = replace(one, pod=place_template(one.pod, namespace))
                    self.workloads.append(Workload(namespace, placed, thing))
                unchanged = find_unchanged(thing, self.kinds)
                self.unknown += [(namespace, one) for one in unchanged if not one.is_account_known]


class StatusEstate(Estate):
    """An estate with the status of each object."""

    with_status = True
