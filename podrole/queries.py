"""What `check` and `preflight` ask the cluster for. What it means is not known here."""

from base64 import b64decode
from collections.abc import Sequence
from functools import partial

import contract
from injector.errors import ApiError
from injector.k8s.client import ApiClient
from injector.k8s.objects import Object, read_mapping, read_service_account_name
from injector.k8s.pod_exec import ContainerRef, exec_command
from injector.labels import INJECTION_ENABLED, INJECTION_LABEL
from podrole.diagnosis import installed_config
from podrole.diagnosis.sidecar import STATUS_COMMAND, is_sidecar_running
from podrole.diagnosis.snapshot import Query, Snapshot, take_snapshot
from podrole.progress import progress_message

WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


def fetch_installation(client: ApiClient) -> Snapshot:
    """The API server's version, all mutating webhooks, and the webhook's own Deployment with its configuration.

    Raises ClusterError where there is no API server to talk to: then nothing else needs to be tried.
    """
    with progress_message("asking the API server for its version"):
        version = client.get_or_none("/version") or {}
    snapshot = take_snapshot(
        {"version": lambda: [version], "webhooks": lambda: client.list(WEBHOOKS)}, progress_message
    )
    place = installed_config.find_deployment(snapshot.all("webhooks"))
    path = f"/apis/apps/v1/namespaces/{place.namespace}/deployments/{place.name}"
    snapshot |= take_snapshot({"deployment": lambda: _read_one(client, path)}, progress_message)
    deployment = snapshot.one("deployment")
    if deployment is None:
        return snapshot
    # One by one: a person may be allowed to read those alone.
    paths = [f"{_core(place)}/configmaps/{name}" for name in installed_config.list_config_maps(deployment)]
    reads: dict[str, Query] = {"config-maps": lambda: [one for path in paths for one in _read_one(client, path)]}
    return snapshot | take_snapshot(reads, progress_message)


def _core(place: installed_config.DeploymentRef) -> str:
    return f"/api/v1/namespaces/{place.namespace}"


def list_pod_reads(client: ApiClient, pod: Object) -> dict[str, Query]:
    """What surrounds a pod, and what its sidecar says."""
    metadata = read_mapping(pod, "metadata")
    namespace, name = str(metadata.get("namespace")), str(metadata.get("name"))
    place = f"/api/v1/namespaces/{namespace}"
    account = f"{place}/serviceaccounts/{read_service_account_name(pod)}"
    events = {"fieldSelector": f"involvedObject.uid={metadata.get('uid')}"}
    reads: dict[str, Query] = {
        "namespace": lambda: _read_one(client, place),
        "service-account": lambda: _read_one(client, account),
        "events": lambda: client.list(f"{place}/events", query=events),
    }
    if is_sidecar_running(pod):
        sidecar = ContainerRef(namespace, name, contract.SIDECAR_CONTAINER)
        reads["status"] = lambda: [{"stdout": exec_command(client, sidecar, STATUS_COMMAND)}]
    return reads


def list_cluster_reads(client: ApiClient, namespaces: Sequence[str], installation: Snapshot) -> dict[str, Query]:
    """All else about a cluster: of these namespaces, or of all that are labelled."""
    place = installed_config.find_deployment(installation.all("webhooks"))
    deployment = installation.one("deployment") or {}
    certificate = installed_config.read_deployed_env(deployment, installation.all("config-maps")).certificate
    reads: dict[str, Query] = {
        "nodes": lambda: client.list("/api/v1/nodes"),
        "daemon-sets": lambda: client.list("/apis/apps/v1/daemonsets"),
        "certificate": lambda: _read_certificate(client, place, certificate),
        "service": lambda: _read_one(client, f"{_core(place)}/services/{place.name}"),
        "endpoint-slices": lambda: client.list(
            f"/apis/discovery.k8s.io/v1/namespaces/{place.namespace}/endpointslices",
            query={"labelSelector": f"kubernetes.io/service-name={place.name}"},
        ),
    }
    kinds = {"service-accounts": "serviceaccounts", "limit-ranges": "limitranges", "resource-quotas": "resourcequotas"}
    if namespaces:
        paths = [f"/api/v1/namespaces/{name}" for name in namespaces]
        reads["asked"] = lambda: [{"name": name} for name in namespaces]
        reads["namespaces"] = lambda: [one for path in paths for one in _read_one(client, path)]
        for name, kind in kinds.items():
            reads[name] = partial(_list_all, client, [f"{path}/{kind}" for path in paths])
    else:
        label = f"{INJECTION_LABEL}={INJECTION_ENABLED}"
        reads["namespaces"] = lambda: client.list("/api/v1/namespaces", query={"labelSelector": label})
        for name, kind in kinds.items():
            reads[name] = partial(_list_all, client, [f"/api/v1/{kind}"])
    return reads


def try_pod(client: ApiClient, namespace: str, pod: Object) -> Object:
    """Create a pod in a dry run; tell what would be stored, or why nothing would."""
    try:
        created = client.create(f"/api/v1/namespaces/{namespace}/pods", pod, dry_run=True)
    except ApiError as error:
        return {"namespace": namespace, "message": f"{error.message} ({error.status})"}
    return {"namespace": namespace, "pod": created}


def _read_certificate(
    client: ApiClient, place: installed_config.DeploymentRef, certificate: tuple[str, str]
) -> list[Object]:
    """The certificate alone: the key beside it goes nowhere."""
    name, key = certificate
    secrets = _read_one(client, f"{_core(place)}/secrets/{name}")
    encoded = [str(read_mapping(secret, "data").get(key) or "") for secret in secrets]
    pem = "".join(b64decode(text).decode(errors="replace") for text in encoded)
    return [{"secret": f"{place.namespace}/{name}", "pem": pem}]


def _list_all(client: ApiClient, paths: Sequence[str]) -> list[Object]:
    return [one for path in paths for one in client.list(path)]


def _read_one(client: ApiClient, path: str) -> list[Object]:
    found = client.get_or_none(path)
    return [] if found is None else [found]
