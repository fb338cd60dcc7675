"""Which of many pods are looked at: those that are not ready first, then the newest."""

from collections.abc import Sequence

from injector.k8s.objects import Object, read_mapping
from podrole.diagnosis.workload_state import find_condition


def choose_pods(pods: Sequence[Object], count: int) -> list[Object]:
    """The first `count` pods in the order in which they are worth to be looked at."""
    newest = sorted(pods, key=_read_created, reverse=True)
    return sorted(newest, key=is_ready)[:count]


def is_ready(pod: Object) -> bool:
    """Whether the pod is ready, or has completed."""
    is_completed = read_mapping(pod, "status").get("phase") == "Succeeded"
    return is_completed or find_condition(pod, "Ready") is not None


def _read_created(pod: Object) -> str:
    return str(read_mapping(pod, "metadata").get("creationTimestamp") or "")
