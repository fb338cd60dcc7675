"""The live cluster, asked anew each time. The only importer of the Kubernetes client."""

import json
from collections.abc import Callable
from typing import Any

from kubernetes import client, config
from urllib3.exceptions import HTTPError

from injector.errors import ClusterError, ObjectError
from injector.objects import Metadata, parse_metadata

TIMEOUT_SECONDS = 2
"""Two reads must fit into the 5 s that the API server gives the webhook."""

METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
"""https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches"""

NOT_FOUND = 404


class LiveCluster:
    """Reads through the API server."""

    def __init__(self, configuration: client.Configuration) -> None:
        configuration.retries = (
            False  # each would add the whole timeout once more; the API server repeats the admission
        )
        self._api = client.CoreV1Api(client.ApiClient(configuration, "Accept", METADATA_ONLY))

    def namespace(self, name: str) -> Metadata | None:
        """A namespace's labels and annotations, or None if there is no such namespace."""
        return _fetch_metadata(f"namespace {name}", self._api.read_namespace, name=name)

    def service_account(self, namespace: str, name: str) -> Metadata | None:
        """A ServiceAccount's labels and annotations, or None if there is no such account."""
        what = f"ServiceAccount {namespace}/{name}"
        return _fetch_metadata(what, self._api.read_namespaced_service_account, name=name, namespace=namespace)


def load_configuration() -> client.Configuration:
    """The pod's own account where this runs in a cluster, otherwise what kubectl would use."""
    configuration = client.Configuration()
    try:
        config.load_incluster_config(configuration)  # type: ignore[no-untyped-call] # not annotated by the client
    except config.ConfigException:
        try:
            config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call] # likewise
        except (config.ConfigException, OSError) as error:
            raise ClusterError(f"no cluster: neither a pod's account nor a kubeconfig is there ({error})") from error
    return configuration


def _fetch_metadata(what: str, read: Callable[..., Any], **names: str) -> Metadata | None:
    try:
        # Left undecoded: the client's models would not know a PartialObjectMetadata.
        response = read(**names, _preload_content=False, _request_timeout=TIMEOUT_SECONDS)
        return parse_metadata(json.loads(response.data))
    except client.ApiException as error:
        if error.status == NOT_FOUND:
            return None
        raise ClusterError(f"the API server did not give {what}: {error.status} {error.reason}") from error
    except (HTTPError, ValueError, ObjectError) as error:
        raise ClusterError(f"the API server did not give {what}: {error}") from error
