"""What a live cluster has to do with IAM: its token issuer, and the objects that can name a role."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple, Protocol

from injector.errors import ClusterError
from injector.k8s.client import ApiClient
from injector.k8s.objects import Object, read_mapping, read_objects, read_owner
from injector.k8s.workload_kinds import BUILT_IN_GROUPS, COMPLETED_OWNED_KINDS, WORKLOAD_KINDS, Kinds

DISCOVERY = "/.well-known/openid-configuration"
"""https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery"""


OWNER_KINDS = {kind for _, kind in WORKLOAD_KINDS}
"""Kinds whose ReplicaSets are their history."""


class Collection(NamedTuple):
    """All objects of one kind."""

    kind: str
    version: str
    """The objects' apiVersion, which items of a list leave out."""

    path: str


COLLECTIONS = (
    Collection("Namespace", "v1", "/api/v1/namespaces"),
    Collection("ServiceAccount", "v1", "/api/v1/serviceaccounts"),
    Collection("Pod", "v1", "/api/v1/pods"),
    Collection("ReplicationController", "v1", "/api/v1/replicationcontrollers"),
    Collection("DaemonSet", "apps/v1", "/apis/apps/v1/daemonsets"),
    Collection("Deployment", "apps/v1", "/apis/apps/v1/deployments"),
    Collection("ReplicaSet", "apps/v1", "/apis/apps/v1/replicasets"),
    Collection("StatefulSet", "apps/v1", "/apis/apps/v1/statefulsets"),
    Collection("CronJob", "batch/v1", "/apis/batch/v1/cronjobs"),
    Collection("Job", "batch/v1", "/apis/batch/v1/jobs"),
)
"""The objects that can name a role, or be given one."""

RESOURCE_LIMITS = (
    Collection("LimitRange", "v1", "/api/v1/limitranges"),
    Collection("ResourceQuota", "v1", "/api/v1/resourcequotas"),
)
"""What limits the resources of a namespace's pods."""

NODES = Collection("Node", "v1", "/api/v1/nodes")
PRIORITY_CLASSES = Collection("PriorityClass", "scheduling.k8s.io/v1", "/apis/scheduling.k8s.io/v1/priorityclasses")
KEPT_STATUS = {"Node": ("allocatable",), "ResourceQuota": ("hard", "used")}
"""By kind: the fields of the status that are read. All others are dropped."""

MAX_VERSIONS = 20
"""Of one API group that are read."""


class Reader(Protocol):
    """The method of ApiClient that is needed to find collections."""

    def get_or_none(self, path: str) -> dict[str, Any] | None:
        """The object at a path, or None where there is none."""


def find_collections(client: Reader, kinds: Kinds) -> Iterator[Collection]:
    """The collections of custom kinds that this cluster has and that are in a table. Raises ClusterError."""
    wanted = {group for group, _ in kinds} - BUILT_IN_GROUPS
    groups = (client.get_or_none("/apis") or {}) if wanted else {}
    for group in read_objects(groups, "groups"):
        name = str(group.get("name"))
        if name not in wanted:
            continue
        missing = {kind for of_group, kind in kinds if of_group == name}
        for version in read_objects(group, "versions")[:MAX_VERSIONS]:
            for found in _find_resources(client, str(version.get("groupVersion")), missing):
                missing.discard(found.kind)
                yield found


def _find_resources(client: Reader, version: str, kinds: AbstractSet[str]) -> list[Collection]:
    resources = read_objects(client.get_or_none(f"/apis/{version}") or {}, "resources") if kinds else ()
    return [
        Collection(str(one.get("kind")), version, f"/apis/{version}/{one.get('name')}")
        for one in resources
        if one.get("kind") in kinds and "/" not in str(one.get("name"))
    ]


def fetch_issuer(client: ApiClient) -> str:
    """The `iss` of the cluster's tokens. Raises ClusterError."""
    document = client.get_or_none(DISCOVERY)
    issuer = document.get("issuer") if document else None
    if not isinstance(issuer, str):
        raise ClusterError(f"the API server's {DISCOVERY} has no issuer")
    return issuer


def list_objects(
    client: ApiClient,
    collection: Collection,
    namespace: str = "",
    *,
    with_owned: bool = False,
    with_status: bool = False,
) -> Iterator[Object]:
    """All objects of a kind, of one namespace or of all, without those that are completed. Raises ClusterError.

    `with_owned`: also those that an owner keeps as its history. `with_status`: each with its whole status; also Jobs
    and failed pods that are completed.
    """
    kind = collection.kind
    for item in _iterate(client, collection, namespace):
        phase = read_mapping(item, "status").get("phase")
        if with_status:
            is_history = phase == "Succeeded" or (kind == "ReplicaSet" and _is_history(item))
            kept = _drop_managed_fields(item)
        else:
            is_owned = not with_owned and kind in COMPLETED_OWNED_KINDS and read_owner(item)
            is_history = phase in {"Succeeded", "Failed"} or is_owned
            kept = _drop_unread(item, kind)
        if not is_history:
            yield {"apiVersion": collection.version, "kind": kind, **kept}


def _is_history(replica_set: Object) -> bool:
    """Whether another workload that is read tells what its pods are. A controller of an unknown kind tells nothing."""
    owner = (read_owner(replica_set) or "").partition("/")[0]
    has_pods = read_mapping(replica_set, "spec").get("replicas") != 0
    return bool(owner) and (owner in OWNER_KINDS or not has_pods)


def _iterate(client: ApiClient, collection: Collection, namespace: str) -> Iterator[Object]:
    if not namespace:
        yield from client.iterate(collection.path)
    elif collection.kind == "Namespace":
        found = client.get_or_none(f"{collection.path}/{namespace}")
        yield from (found,) if found else ()
    else:
        parent, _, plural = collection.path.rpartition("/")
        yield from client.iterate(f"{parent}/namespaces/{namespace}/{plural}")


def _drop_unread(item: Object, kind: str) -> Object:
    """An object without what is half of a pod: a command keeps all pods of a cluster."""
    kept = {key: value for key, value in _drop_managed_fields(item).items() if key != "status"}
    status = read_mapping(item, "status")
    fields = {key: status[key] for key in KEPT_STATUS.get(kind, ()) if key in status}
    return {**kept, "status": fields} if fields else kept


def _drop_managed_fields(item: Object) -> Object:
    metadata = {key: value for key, value in read_mapping(item, "metadata").items() if key != "managedFields"}
    return {**item, "metadata": metadata}
