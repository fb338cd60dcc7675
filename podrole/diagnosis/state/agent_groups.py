"""The groups of pods that depend on kube2iam or Kiam."""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum


class Group(StrEnum):
    """Why a pod would reach the node's role, or would lose the agent's."""

    NEEDS_AGENT = "needs-agent"
    """It has a role that the agent provides; it is in another group, too."""

    ENV_MODE = "env-mode"
    UNCHANGED = "unchanged"
    """podrole skips it in a labelled namespace, as it has no role, or as its author or the operator wants that."""

    NOT_INJECTED = "not-injected"
    """It is older than its namespace's label."""

    UNLABELLED = "unlabelled"
    HOST_NETWORK = "host-network"
    WINDOWS = "windows"


Census = Mapping[Group, Counter[str]]
"""By group: the number of pods of each namespace. Nothing else of a pod is kept."""
