"""Finds a workload and its pods for `podrole check`: by its selector, or by the label that its controller sets."""

from injector.errors import InjectorError
from injector.k8s.discovery import Reader, find_collections
from injector.k8s.objects import Object, read_mapping
from injector.k8s.workload_kinds import BUILT_IN_GROUPS, WORKLOAD_KINDS, Kinds
from podrole.diagnosis.state.selectors import format_selector

OWNERS = {
    "cronjob": "apis/batch/v1",
    "daemonset": "apis/apps/v1",
    "deployment": "apis/apps/v1",
    "job": "apis/batch/v1",
    "replicaset": "apis/apps/v1",
    "replicationcontroller": "api/v1",
    "statefulset": "apis/apps/v1",
}
"""Kubernetes' own kinds that own pods, and their API group and version."""

SHORT_NAMES = {
    "cj": "cronjob",
    "deploy": "deployment",
    "ds": "daemonset",
    "po": "pod",
    "rc": "replicationcontroller",
    "rs": "replicaset",
    "sts": "statefulset",
}
"""As kubectl has them."""

BUILT_IN_NAMES = {"service"} | {kind.lower() for group, kind in WORKLOAD_KINDS if group in BUILT_IN_GROUPS}
"""A name alone means Kubernetes' own kind, as for kubectl."""


class TargetError(InjectorError):
    """The target does not exist, has no pods, or is not valid."""


def read_kind(name: str) -> str:
    """The name of a kind as the tables have it: in lower case and in the singular."""
    lower = name.lower()
    singular = lower.removesuffix("s")
    is_plural = singular in OWNERS or singular == "pod"
    return SHORT_NAMES.get(lower, singular if is_plural else lower)


def is_owner(name: str) -> bool:
    """Whether this is the name of a kind that can own pods: `deployment`, `rollout` or `rollout.argoproj.io`."""
    return name.lower() in OWNERS or bool(_find_kinds(name))


def find_path(client: Reader, namespace: str, name: str) -> str | None:
    """The path of a kind's objects in a namespace; None if the cluster does not have the kind. Raises ClusterError."""
    if name in OWNERS:
        return f"/{OWNERS[name]}/namespaces/{namespace}/{name}s"
    for found in find_collections(client, _find_kinds(name)):
        plural = found.path.rpartition("/")[2]
        return f"/apis/{found.version}/namespaces/{namespace}/{plural}"
    return None


def find_selector(owner: Object, name: str) -> str:
    """The label selector of an owner's pods. Raises TargetError where it has none."""
    label = next((kind.label for kind in _find_kinds(name).values()), None)
    own_name = read_mapping(owner, "metadata").get("name")
    wanted = read_mapping(read_mapping(owner, "spec"), "selector")
    if name == "replicationcontroller":
        wanted = {"matchLabels": wanted}
    selector = f"{label}={own_name}" if label else format_selector(wanted)
    if not selector:
        raise TargetError(f"{name} {own_name} has no selector of its pods: name one of them")
    return selector


def _find_kinds(name: str) -> Kinds:
    """The custom kinds with a name, which must have the group where Kubernetes has a kind with that name."""
    wanted = name.lower()
    return {
        (group, kind): found
        for (group, kind), found in WORKLOAD_KINDS.items()
        if group not in BUILT_IN_GROUPS
        and (wanted == f"{kind}.{group}".lower() or (wanted == kind.lower() and wanted not in BUILT_IN_NAMES))
    }
