"""Reports who would reach the node's role when kube2iam or Kiam is removed."""

from collections import Counter
from collections.abc import Iterator

from podrole.diagnosis.probe_findings import CLOSE_METADATA
from podrole.diagnosis.state.agent_groups import Group
from podrole.diagnosis.state.check_context import CheckContext, join_names
from podrole.findings import Finding, FindingTemplate, Level

VERIFY = f"{CLOSE_METADATA}\nThen: podrole preflight --probe"


class Removal(FindingTemplate):
    """Pods that kube2iam or Kiam serves, or keeps from the node's role. `pods`: namespaces, each with a number."""

    NEED_AGENT = (
        Level.WARNING,
        "{count:# pod has its role|# pods have their role} from kube2iam or Kiam, and would lose it: {pods}.",
        "podrole plan -A lists their workloads. Label their namespaces and restart them before you remove the agent.",
    )
    IN_ENV_MODE = (
        Level.WARNING,
        "Without kube2iam or Kiam {count:# pod|# pods} in env mode can reach the node's role: {pods}.",
        VERIFY,
    )
    UNCHANGED = (
        Level.WARNING,
        (
            "Without kube2iam or Kiam {count:# pod|# pods} that podrole leaves unchanged can reach the node's role, as "
            "can all without a role under PodSecurity baseline or restricted: {pods}."
        ),
        VERIFY,
    )
    NOT_INJECTED = (
        Level.WARNING,
        (
            "Without kube2iam or Kiam {count:# pod|# pods} of labelled namespaces can reach the node's role until "
            "{count:it is|they are} created again: {pods}."
        ),
        "kubectl --namespace NAME rollout restart deployment,statefulset,daemonset",
    )
    IN_UNLABELLED_NAMESPACES = (
        Level.WARNING,
        (
            "Without kube2iam or Kiam {count:# pod|# pods} of namespaces without the label can reach the node's role: "
            "{pods}."
        ),
        VERIFY,
    )
    ON_WINDOWS = (
        Level.WARNING,
        "{count:# Windows pod|# Windows pods} can reach the node's role, with kube2iam or Kiam and without: {pods}.",
        "Block the metadata addresses on Windows nodes by other means.",
    )
    WITH_HOST_NETWORK = (
        Level.NOTE,
        "{count:# pod|# pods} with hostNetwork can reach the node's role, with kube2iam or Kiam and without: {pods}.",
    )
    NOBODY_LEFT = (
        Level.OK,
        "Without kube2iam or Kiam no pod would lose its role, or reach the node's role where it cannot now.",
    )


BY_GROUP = {
    Group.NEEDS_AGENT: Removal.NEED_AGENT,
    Group.ENV_MODE: Removal.IN_ENV_MODE,
    Group.UNCHANGED: Removal.UNCHANGED,
    Group.NOT_INJECTED: Removal.NOT_INJECTED,
    Group.UNLABELLED: Removal.IN_UNLABELLED_NAMESPACES,
    Group.WINDOWS: Removal.ON_WINDOWS,
    Group.HOST_NETWORK: Removal.WITH_HOST_NETWORK,
}
EXPOSED = (Group.ENV_MODE, Group.UNCHANGED, Group.NOT_INJECTED, Group.UNLABELLED)
"""Those whom the agent keeps from the node's role."""


def check_removal(context: CheckContext) -> Iterator[Finding]:
    """Report the groups of the census; nothing where there is neither kube2iam nor Kiam."""
    census = context.cluster.agent_pods.value
    if census is None:
        return
    for group, template in BY_GROUP.items():
        if counts := census[group]:
            yield template.format(count=counts.total(), pods=_format(counts))
    if not any(census[group] for group in (Group.NEEDS_AGENT, *EXPOSED)):
        yield Removal.NOBODY_LEFT.format()


def _format(counts: Counter[str]) -> str:
    return join_names([f"{namespace} ({count})" for namespace, count in counts.most_common()])
