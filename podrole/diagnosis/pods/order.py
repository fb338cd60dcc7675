"""Which of many pods are looked at: those that are not ready first, then the newest."""

from collections.abc import Sequence

from injector.k8s.objects import Object, read_mapping
from podrole.diagnosis.state.workload import find_condition

MAX_FAILED = 3
"""Pods that ended with a failure and are kept, as those that a node evicted: there can be thousands."""


def choose_pods(pods: Sequence[Object], count: int) -> list[Object]:
    """The first `count` pods in the order in which they are worth to be looked at."""
    newest = sorted(pods, key=read_created, reverse=True)
    failed = [pod for pod in newest if _has_failed(pod)]
    others = [pod for pod in newest if not _has_failed(pod)]
    unready = [pod for pod in others if not is_ready(pod)]
    return [*unready, *failed[:MAX_FAILED], *(pod for pod in others if is_ready(pod))][:count]


def _has_failed(pod: Object) -> bool:
    return read_mapping(pod, "status").get("phase") == "Failed"


def is_ready(pod: Object) -> bool:
    """Whether the pod is ready, or has completed."""
    is_completed = read_mapping(pod, "status").get("phase") == "Succeeded"
    return is_completed or find_condition(pod, "Ready") is not None


def read_created(obj: Object) -> str:
    """The creation time: RFC 3339 in UTC without fractions of a second, so that it can be compared as text."""
    return str(read_mapping(obj, "metadata").get("creationTimestamp") or "")
