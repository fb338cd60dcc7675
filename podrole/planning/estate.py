"""An estate that also has nodes, and of each pod only what a plan needs: ten thousand pods fit into memory."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

import contract
from injector.k8s.objects import Object, parse_metadata, read_mapping, read_name, read_objects, read_spec
from injector.k8s.workload_kinds import COMPLETED_OWNED_KINDS
from injector.k8s.workloads import read_group_kind
from injector.metadata_keys import MIRROR_ANNOTATION
from podrole.diagnosis.agents.recognition import CREDENTIAL_VARIABLES
from podrole.diagnosis.pods.injection import find_container, is_injected, read_mode, read_role
from podrole.estate.objects import Estate, Workload
from podrole.planning.resources import measure_as_it_is, read_amount

MAX_OWNERS = 10
"""Between a pod and the workload that a user wrote."""

NOT_READY = {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable", "node.kubernetes.io/unschedulable"}


class Key(NamedTuple):
    """Names a workload."""

    namespace: str
    group: str
    kind: str
    name: str


class Injection(NamedTuple):
    """What an injected pod has. A new pod with the same needs no restart."""

    mode: str
    role: str | None
    image: str


class RunningPod(NamedTuple):
    """A pod of the cluster."""

    name: str
    owner: Key
    """Its controller, or itself."""

    node: str
    cpu: Fraction
    memory: Fraction
    """What it requests."""

    is_terminating: bool
    injection: Injection | None
    variables: frozenset[str]
    """The names of variables that give credentials and that its containers have."""


class Node(NamedTuple):
    """A node that new pods can be scheduled on."""

    cpu: Fraction
    memory: Fraction
    """What pods can request."""


@dataclass
class PlanEstate(Estate):
    """An estate that keeps one whole pod of each owner."""

    with_owned: ClassVar[bool] = True

    pods: list[RunningPod] = field(default_factory=list)
    nodes: dict[str, Node] = field(default_factory=dict)
    owners: dict[Key, Key] = field(default_factory=dict)
    samples: dict[Key, Workload] = field(default_factory=dict)
    """By controller: one of its pods, for controllers whose own object is unknown."""

    default_priority_classes: dict[str, int] = field(default_factory=dict)
    """Those with `globalDefault`, by name: their value."""

    @property
    def default_priority_class(self) -> str:
        """The one that pods without a class get: of several the API server takes the lowest. Empty without any."""
        return min(self.default_priority_classes, key=lambda name: self.default_priority_classes[name], default="")

    def add(self, thing: Object, default_namespace: str = "default") -> None:
        """Add an object. Raises ObjectError."""
        match thing.get("kind"):
            case "Node":
                self._add_node(thing)
            case "PriorityClass":
                self._add_priority_class(thing)
            case _:
                self._add_namespaced(thing, default_namespace)

    def _add_namespaced(self, thing: Object, default_namespace: str) -> None:
        metadata = read_mapping(thing, "metadata")
        namespace = str(metadata.get("namespace") or default_namespace)
        key = Key(namespace, *read_group_kind(thing), str(metadata.get("name")))
        owner = _find_owner(thing, namespace)
        if owner:
            self.owners[key] = owner
        if thing.get("kind") == "Pod" and self.is_complete:
            self._add_pod(thing, key, owner, default_namespace)
        elif not (owner and thing.get("kind") in COMPLETED_OWNED_KINDS):
            super().add(thing, default_namespace)

    def _add_pod(self, pod: Object, key: Key, owner: Key | None, default_namespace: str) -> None:
        self.pods.append(summarize_pod(pod, owner or key))
        if MIRROR_ANNOTATION in parse_metadata(pod).annotations:
            return
        pod = _forget_node(pod)
        if owner is None:
            super().add(pod, default_namespace)
        elif owner not in self.samples:
            known = Estate(kinds=self.kinds)
            known.add(pod, default_namespace)
            self.samples[owner] = known.workloads[0]

    def _add_node(self, node: Object) -> None:
        spec, taints = read_mapping(node, "spec"), read_objects(read_mapping(node, "spec"), "taints")
        if not spec.get("unschedulable") and not any(taint.get("key") in NOT_READY for taint in taints):
            allocatable = read_mapping(read_mapping(node, "status"), "allocatable")
            amounts = [read_amount(allocatable, key) for key in Node._fields]
            self.nodes[read_name(read_mapping(node, "metadata"))] = Node(*amounts)

    def _add_priority_class(self, thing: Object) -> None:
        if thing.get("globalDefault") is True:
            value = thing.get("value")
            name = read_name(read_mapping(thing, "metadata"))
            self.default_priority_classes[name] = value if isinstance(value, int) else 0

    def find_top(self, key: Key, known: Collection[Key]) -> Key:
        """Find the workload that a user wrote: the highest known owner, else the highest one."""
        chain = [key]
        while (owner := self.owners.get(chain[-1])) and len(chain) < MAX_OWNERS:
            chain.append(owner)
        return next((one for one in reversed(chain) if one in known), chain[-1])


def summarize_pod(pod: Object, owner: Key) -> RunningPod:
    """Keep what a plan needs of a pod. Raises ObjectError."""
    spec, totals = read_spec(pod), measure_as_it_is(pod)
    return RunningPod(
        name=read_name(read_mapping(pod, "metadata")),
        owner=owner,
        node=str(spec.get("nodeName") or ""),
        cpu=totals["requests.cpu"],
        memory=totals["requests.memory"],
        is_terminating=bool(read_mapping(pod, "metadata").get("deletionTimestamp")),
        injection=_read_injection(pod) if is_injected(pod) else None,
        variables=frozenset(_find_variables(spec)),
    )


def _forget_node(pod: Object) -> Object:
    """The pod as it was before it had a node: its mode can depend on that."""
    spec = {key: value for key, value in read_spec(pod).items() if key != "nodeName"}
    return {**pod, "spec": spec}


def _read_injection(pod: Object) -> Injection:
    container: Any = find_container(pod, contract.SIDECAR_CONTAINER) or find_container(pod, contract.REDIRECT_CONTAINER)
    return Injection(read_mode(pod), read_role(pod), str(container.get("image")))


def _find_variables(spec: Object) -> Iterator[str]:
    for container in read_objects(spec, "containers"):
        for variable in read_objects(container, "env"):
            if (name := variable.get("name")) in CREDENTIAL_VARIABLES:
                yield str(name)


def _find_owner(thing: Object, namespace: str) -> Key | None:
    references = read_objects(read_mapping(thing, "metadata"), "ownerReferences")
    owner = next((one for one in references if one.get("controller")), None)
    return Key(namespace, *read_group_kind(owner), str(owner.get("name"))) if owner else None
