"""The requests that `check` and `preflight` make to the API server."""

import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import TypeVar

import contract
from injector.errors import ApiError, ClusterError, NotFoundError
from injector.k8s.client import ApiClient
from injector.k8s.discovery import fetch_issuer
from injector.k8s.objects import Object, read_mapping, read_objects, read_service_account_name
from injector.k8s.pod_exec import RunningContainer, exec_command
from injector.metadata_keys import INJECTION_LABEL, LEFT_OUT
from podrole.diagnosis.pods.injection import read_role
from podrole.diagnosis.pods.sidecar import STATUS_COMMAND, is_sidecar_running
from podrole.diagnosis.state import installed_config
from podrole.diagnosis.state.cluster import (
    ClusterState,
    DryRunResult,
    Installation,
    Objects,
    OptionalObject,
    PodState,
    ReadResult,
    StoredCertificate,
)
from podrole.diagnosis.state.installed_config import DeploymentRef
from podrole.diagnosis.workloads.dry_run import is_webhook_unreachable
from podrole.progress import progress_message

WARNINGS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/podrole-injector"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
POLICY_BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"

T = TypeVar("T")


def fetch_installation(client: ApiClient) -> Installation:
    """Read the API server's version, all mutating webhooks, podrole's Deployment with its ConfigMaps, the guard.

    Raises ClusterError if the API server does not answer the first request.
    """
    with progress_message("reading the API server's version"):
        version = client.get_or_none("/version") or {}
    webhooks = fetch_list(client, "webhooks", WEBHOOKS)
    where = installed_config.find_deployment(webhooks.value)
    path = f"/apis/apps/v1/namespaces/{where.namespace}/deployments/{where.name}"
    deployment = fetch_object(client, "podrole's Deployment", path)
    names = installed_config.list_config_maps(deployment.value) if deployment.value else []
    # One by one: the user may have permission for these only.
    paths = [f"{_build_core_path(where)}/configmaps/{name}" for name in names]
    config_maps = _fetch_objects(client, "ConfigMaps", paths)
    policies = _fetch_guard(client, "the guard's policies", POLICIES)
    bindings = _fetch_guard(client, "the guard's bindings", POLICY_BINDINGS)
    return Installation(ReadResult(version), webhooks, deployment, config_maps, policies, bindings)


def fetch_pod_state(client: ApiClient, pod: Object, installation: Installation) -> PodState:
    """Read a pod's namespace, ServiceAccount and events, and the status of its sidecar."""
    metadata = read_mapping(pod, "metadata")
    namespace, name = str(metadata.get("namespace")), str(metadata.get("name"))
    path = f"/api/v1/namespaces/{namespace}"
    account = f"{path}/serviceaccounts/{read_service_account_name(pod)}"
    return PodState(
        installation,
        namespace=fetch_object(client, "the namespace", path),
        service_account=fetch_object(client, "the ServiceAccount", account),
        events=fetch_list(
            client, "the pod's events", f"{path}/events", fieldSelector=f"involvedObject.uid={metadata.get('uid')}"
        ),
        owner=_fetch_owner(client, pod) if read_role(pod) is None else ReadResult(None),
        sidecar_status=_fetch_status(client, namespace, name) if is_sidecar_running(pod) else ReadResult(None),
        now=time.time(),
    )


def _fetch_owner(client: ApiClient, pod: Object) -> OptionalObject:
    metadata = read_mapping(pod, "metadata")
    owner = next((one for one in read_objects(metadata, "ownerReferences") if one.get("controller")), {})
    group = str(owner.get("apiVersion"))
    if not group.startswith(("apps/", "batch/")):
        return ReadResult(None)
    plural = f"{str(owner.get('kind')).lower()}s"
    path = f"/apis/{group}/namespaces/{metadata.get('namespace')}/{plural}/{owner.get('name')}"
    return fetch_object(client, "the pod's owner", path)


def fetch_cluster_state(client: ApiClient, installation: Installation, namespaces: Sequence[str]) -> ClusterState:
    """Read everything about a cluster except dry runs, for these namespaces, or for all labelled ones."""
    where = installed_config.find_deployment(installation.webhooks.value)
    account_paths = [f"/api/v1/namespaces/{name}/serviceaccounts" for name in namespaces]
    return ClusterState(
        installation,
        nodes=fetch_list(client, "nodes", "/api/v1/nodes"),
        daemon_sets=fetch_list(client, "DaemonSets", "/apis/apps/v1/daemonsets"),
        namespaces=_fetch_namespaces(client, namespaces),
        service_accounts=fetch_list(client, "ServiceAccounts", *(account_paths or ["/api/v1/serviceaccounts"])),
        certificate=_fetch_certificate(client, where, installation),
        service=fetch_object(client, "podrole's Service", f"{_build_core_path(where)}/services/{where.name}"),
        endpoint_slices=fetch_list(
            client,
            "podrole's EndpointSlices",
            f"/apis/discovery.k8s.io/v1/namespaces/{where.namespace}/endpointslices",
            labelSelector=f"kubernetes.io/service-name={where.name}",
        ),
        warnings=fetch_object(client, "the webhook that warns", WARNINGS),
        issuer=_fetch(lambda: fetch_issuer(client), "the issuer of tokens", ""),
        requested_namespaces=tuple(namespaces),
    )


def _fetch_namespaces(client: ApiClient, names: Sequence[str]) -> Objects:
    """Read these, or all with the label, also with a value that enables nothing, such as "true", unless it is meant."""
    if names:
        return _fetch_objects(client, "namespaces", [f"/api/v1/namespaces/{name}" for name in names])
    label = f"{INJECTION_LABEL},{INJECTION_LABEL} notin ({','.join(LEFT_OUT)})"
    return fetch_list(client, "namespaces", "/api/v1/namespaces", labelSelector=label)


def run_dry_runs(client: ApiClient, namespaces: Sequence[str], pod: Object) -> ReadResult[tuple[DryRunResult, ...]]:
    """Create a pod in a dry run in each namespace. Stops when the API server cannot call the webhook."""
    results: list[DryRunResult] = []
    for number, namespace in enumerate(namespaces, 1):
        try:
            with progress_message(f"dry run of a pod in namespace {namespace} ({number} of {len(namespaces)})"):
                results.append(run_dry_run(client, namespace, pod))
        except ClusterError as error:
            return ReadResult(tuple(results), str(error))
        if is_webhook_unreachable(results[-1]):
            break
    return ReadResult(tuple(results))


def run_dry_run(client: ApiClient, namespace: str, pod: Object) -> DryRunResult:
    """Create a pod in a dry run. Raises ClusterError where the API server does not answer."""
    try:
        return DryRunResult(namespace, client.create(f"/api/v1/namespaces/{namespace}/pods", pod, dry_run=True))
    except ApiError as error:
        return DryRunResult(namespace, None, f"{error.message} ({error.status})")


def _fetch_certificate(
    client: ApiClient, where: DeploymentRef, installation: Installation
) -> ReadResult[StoredCertificate]:
    """Read the certificate from the webhook's Secret, without the private key beside it."""
    deployed_env = installation.deployed_env or installed_config.DeployedEnv({})
    name, key = deployed_env.certificate
    secret = fetch_object(client, "podrole's Secret", f"{_build_core_path(where)}/secrets/{name}")
    encoded = str(read_mapping(secret.value or {}, "data").get(key) or "")
    pem = b64decode(encoded).decode(errors="replace")
    return ReadResult(StoredCertificate(f"{where.namespace}/{name}", pem), secret.error)


def _fetch_guard(client: ApiClient, what: str, path: str) -> Objects:
    def list_all() -> tuple[Object, ...]:
        try:
            return tuple(client.list(path))
        except NotFoundError:  # an older API server does not know the resource
            return ()

    return _fetch(list_all, what, ())


def _fetch_status(client: ApiClient, namespace: str, pod: str) -> ReadResult[str | None]:
    sidecar = RunningContainer(namespace, pod, contract.SIDECAR_CONTAINER)
    return _fetch(lambda: exec_command(client, sidecar, STATUS_COMMAND), "the sidecar's status", None)


def _fetch(query: Callable[[], T], what: str, default: T) -> ReadResult[T]:
    """Run a query; the error of a failed one becomes part of the result. Shows progress."""
    try:
        with progress_message(f"reading {what}"):
            return ReadResult(query())
    except ClusterError as error:
        return ReadResult(default, str(error))


def fetch_object(client: ApiClient, what: str, path: str) -> OptionalObject:
    """Read an object. None also where it does not exist."""
    return _fetch(lambda: client.get_or_none(path), what, None)


def _fetch_objects(client: ApiClient, what: str, paths: Sequence[str]) -> Objects:
    """Read objects one by one, without those that do not exist."""
    return _fetch(lambda: tuple(thing for path in paths if (thing := client.get_or_none(path)) is not None), what, ())


def fetch_list(client: ApiClient, what: str, *paths: str, **query: str) -> Objects:
    """List collections, one after the other."""
    return _fetch(lambda: tuple(thing for path in paths for thing in client.list(path, query=query)), what, ())


def _build_core_path(where: DeploymentRef) -> str:
    return f"/api/v1/namespaces/{where.namespace}"
