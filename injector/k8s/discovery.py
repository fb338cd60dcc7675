"""What of a live cluster concerns IAM: its issuer of tokens, and all objects that can name a role."""

from collections.abc import Iterator

from injector.errors import ClusterError
from injector.k8s.inspection import ApiClient
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
"""Kind: its version, which items of a list do not name, and where the API has all of them."""

COMPLETED_OWNED_KINDS = {"ReplicaSet", "Job"}
"""What their owner keeps of its past would name roles that nobody uses any more."""


def fetch_issuer(inspector: ApiClient) -> str:
    """The URL that the cluster's tokens have as `iss`. Raises ClusterError."""
    document = inspector.read(DISCOVERY)
    issuer = document.get("issuer") if document else None
    if not isinstance(issuer, str):
        raise ClusterError(f"the API server's {DISCOVERY} names no issuer")
    return issuer


def list_objects(inspector: ApiClient, kind: str) -> Iterator[Object]:
    """All objects of a kind that can name a role now. Raises ClusterError."""
    version, path = COLLECTIONS[kind]
    for item in inspector.list(path):
        is_over = read_mapping(item, "status").get("phase") in {"Succeeded", "Failed"}
        if not is_over and not (kind in COMPLETED_OWNED_KINDS and read_owner(item)):
            yield {"apiVersion": version, "kind": kind, **item}
