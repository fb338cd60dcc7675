"""Counts the pods that would reach the node's role without kube2iam or Kiam, by group and namespace."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from contract.modes import Mode
from injector.config import Config
from injector.decision.context import ClusterContext, is_on_fargate
from injector.decision.decide import decide
from injector.decision.outcomes import Skip
from injector.decision.unsupported import find_unsupported
from injector.errors import ObjectError
from injector.k8s.objects import (
    Metadata,
    Object,
    parse_metadata,
    read_mapping,
    read_name,
    read_objects,
    read_service_account_name,
    read_spec,
    read_strings,
)
from injector.k8s.version import Version
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL, ROLE
from injector.reasons import Reason
from podrole.diagnosis.agents.recognition import CREDENTIAL_VARIABLES
from podrole.diagnosis.pods.injection import is_injected, read_mode
from podrole.diagnosis.state.agent_groups import Group

ENDED = {"Succeeded", "Failed"}


@dataclass(frozen=True)
class PodCounter:
    """Counts pods one by one."""

    namespaces: Mapping[str, Metadata]
    """At least the labelled ones."""

    accounts: Mapping[tuple[str, str], Metadata]
    """By namespace and name."""

    config: Config | None
    """None where the webhook's settings are unknown."""

    version: Version | None = None
    role_keys: Collection[str] = (ROLE,)
    """The annotations with which pods ask the agents for a role."""

    has_default_role: bool = False
    """Whether an agent gives a role to pods that ask for none."""

    fargate_nodes: Collection[str] = ()
    """Their names. No agent runs there, and their pods reach no metadata service."""

    census: dict[Group, Counter[str]] = field(default_factory=lambda: {group: Counter() for group in Group})

    def add(self, pod: Object) -> None:
        """Count a pod of the cluster."""
        namespace = str(read_mapping(pod, "metadata").get("namespace"))
        for group in self._find_groups(pod, namespace):
            self.census[group][namespace] += 1

    def _find_groups(self, pod: Object, namespace: str) -> Iterator[Group]:
        if read_mapping(pod, "status").get("phase") in ENDED or self._is_on_fargate(pod):
            return
        if reason := find_unsupported(pod):
            yield Group.HOST_NETWORK if reason is Reason.HOST_NETWORK else Group.WINDOWS
            return
        if is_injected(pod):
            if read_mode(pod) == Mode.ENV:
                yield Group.ENV_MODE
            return
        annotations = read_strings(read_mapping(pod, "metadata"), "annotations")
        if any(annotations.get(key) for key in self.role_keys) or (self.has_default_role and not _has_others(pod)):
            yield Group.NEEDS_AGENT
        yield self._classify_plain(pod, namespace)

    def _is_on_fargate(self, pod: Object) -> bool:
        return is_on_fargate(pod) or read_spec(pod).get("nodeName") in self.fargate_nodes

    def _classify_plain(self, pod: Object, namespace: str) -> Group:
        labelled = self.namespaces.get(namespace)
        if labelled is None or labelled.labels.get(INJECTION_LABEL) != INJECTION_ENABLED:
            return Group.UNLABELLED
        if self.config is None:
            return Group.NOT_INJECTED
        account = self.accounts.get((namespace, read_service_account_name(pod)))
        try:
            decision = decide(pod, ClusterContext(labelled, account, self.version), self.config)
        except ObjectError:
            return Group.NOT_INJECTED
        return Group.UNCHANGED if isinstance(decision, Skip) else Group.NOT_INJECTED


def _has_others(pod: Object) -> bool:
    """Whether it has credentials from elsewhere."""
    containers = read_objects(read_spec(pod), "containers")
    return any(one.get("name") in CREDENTIAL_VARIABLES for each in containers for one in read_objects(each, "env"))


def index_metadata(objects: Sequence[Object]) -> dict[tuple[str, str], Metadata]:
    """Labels and annotations by namespace and name; the namespace of a namespace is empty."""
    names = [read_mapping(one, "metadata") for one in objects]
    keys = [(read_name(metadata, "namespace"), read_name(metadata)) for metadata in names]
    return dict(zip(keys, map(parse_metadata, objects), strict=True))
