"""Everything that was read about many workloads."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from injector.k8s.objects import Metadata, Object
from podrole.diagnosis.overview.grouping import index_events
from podrole.diagnosis.pods.decision_input import DecisionInput, Settings
from podrole.diagnosis.state.cluster import Installation, Objects, ReadResult
from podrole.diagnosis.state.versions import read_server_version
from podrole.diagnosis.state.workload import WorkloadState
from podrole.estate.objects import Estate

Uid = str
NONE: Objects = ReadResult(())


@dataclass(frozen=True)
class EstateState:
    """Everything that was read about many workloads."""

    installation: Installation
    settings: Settings
    estate: Estate
    states: tuple[WorkloadState, ...]
    statuses: Mapping[Uid, ReadResult[str | None]]
    """Of sidecars, by the pod's uid."""

    now: float
    events: tuple[Object, ...] = ()
    """About pods that were not created, and about volumes and sandboxes of pods."""

    events_error: str = ""
    statuses_omitted: int = 0
    daemon_sets: Objects = NONE
    """Of all namespaces: kube2iam and Kiam are among them."""

    namespace: str = ""
    """The only one that was read; empty for all."""

    @property
    def unread_context(self) -> str:
        """Why decisions are not possible: what is missing may exist. Empty where all was read."""
        kinds = [kind for kind in ("Namespace", "ServiceAccount") if not self.estate.is_known_to_miss(kind)]
        return f"not every {' and '.join(kinds)} could be read" if kinds else ""

    @cached_property
    def events_by_uid(self) -> Mapping[object, list[Object]]:
        """Events by the uid of their object."""
        return index_events(self.events)

    @cached_property
    def accounts(self) -> Mapping[str, Mapping[str, Metadata]]:
        """ServiceAccounts by namespace and name."""
        found: dict[str, dict[str, Metadata]] = {}
        for (namespace, name), account in self.estate.accounts.items():
            found.setdefault(namespace, {})[name] = account
        return found

    def build_input(self, namespace: str) -> DecisionInput | None:
        """What decisions about the pods of a namespace depend on; None where some of it is unknown."""
        if self.settings.effective_config is None or self.unread_context:
            return None
        accounts, found = self.accounts.get(namespace, {}), self.estate.namespaces.get(namespace)
        version = read_server_version(self.installation.version.value)
        return DecisionInput(self.settings.effective_config, found, accounts, version)
