"""What the webhook decides about the pods of a workload: its own code, with the estate as its cluster."""

from typing import NamedTuple

from injector.config import Config
from injector.decision.context import ClusterContext
from injector.decision.decide import decide
from injector.decision.outcomes import Decision
from injector.k8s.objects import EMPTY_METADATA, Metadata, read_service_account_name
from injector.k8s.version import Version
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL
from podrole.estate.objects import Estate, Workload


class WorkloadDecision(NamedTuple):
    """A decision, and the objects that it was based on."""

    workload: Workload
    cluster_context: ClusterContext
    decision: Decision


def decide_workload(
    workload: Workload, estate: Estate, config: Config, version: Version | None = None, *, is_labelled: bool = False
) -> WorkloadDecision:
    """Decide about a workload's pods. `is_labelled`: as if the namespace had podrole's label."""
    namespace = estate.namespaces.get(workload.namespace, _choose_missing(estate, "Namespace"))
    name = read_service_account_name(workload.template.pod)
    account = estate.accounts.get((workload.namespace, name), _choose_missing(estate, "ServiceAccount"))
    if is_labelled and namespace is not None:
        namespace = namespace._replace(labels={**namespace.labels, INJECTION_LABEL: INJECTION_ENABLED})
    cluster_context = ClusterContext(namespace, account, version)
    return WorkloadDecision(workload, cluster_context, decide(workload.template.pod, cluster_context, config))


def _choose_missing(estate: Estate, kind: str) -> Metadata | None:
    return None if estate.is_known_to_miss(kind) else EMPTY_METADATA
