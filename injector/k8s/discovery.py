"""What a live cluster has to do with IAM: its token issuer, and the objects that can name a role."""

from collections.abc import Iterator

from injector.errors import ClusterError
from injector.k8s.client import ApiClient
from injector.k8s.objects import Object, read_mapping, read_owner

DISCOVERY = "/.well-known/openid-configuration"
"""https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery"""

COLLECTIONS = {
    "Namespace": ("v1", "/api/v1/namespaces"),
    "ServiceAccount": ("v1", "/api/v1/serviceaccounts"),
    "Pod": ("v1", "/api/v1/pods"),
    "ReplicationController": ("v1", "/api/v1/replicationcontrollers"),
    "DaemonSet": ("apps/v1", "/apis/apps/v1/daemonsets"),
    "Deployment": ("apps/v1", "/apis/apps/v1/deployments"),
    "ReplicaSet": ("apps/v1", "/apis/apps/v1/replicasets"),
    "StatefulSet": ("apps/v1", "/apis/apps/v1/statefulsets"),
    "CronJob": ("batch/v1", "/apis/batch/v1/cronjobs"),
    "Job": ("batch/v1", "/apis/batch/v1/jobs"),
}
"""Kind: its apiVersion, which items of a list leave out, and the path of its collection."""

COMPLETED_OWNED_KINDS = {"ReplicaSet", "Job"}
"""Kinds that a Deployment or CronJob keeps as its history: they would name roles that are no longer used."""


def fetch_issuer(client: ApiClient) -> str:
    """The `iss` of the cluster's tokens. Raises ClusterError."""
    document = client.get_or_none(DISCOVERY)
    issuer = document.get("issuer") if document else None
    if not isinstance(issuer, str):
        raise ClusterError(f"the API server's {DISCOVERY} has no issuer")
    return issuer


def list_objects(client: ApiClient, kind: str) -> Iterator[Object]:
    """All objects of a kind that can name a role now. Raises ClusterError."""
    version, path = COLLECTIONS[kind]
    for item in client.iterate(path):
        is_completed = read_mapping(item, "status").get("phase") in {"Succeeded", "Failed"}
        if not is_completed and not (kind in COMPLETED_OWNED_KINDS and read_owner(item)):
            yield {"apiVersion": version, "kind": kind, **_drop_unread(item)}


def _drop_unread(item: Object) -> Object:
    """An object without what is half of a pod: a command keeps all pods of a cluster."""
    metadata = {key: value for key, value in read_mapping(item, "metadata").items() if key != "managedFields"}
    return {key: value for key, value in item.items() if key != "status"} | {"metadata": metadata}
