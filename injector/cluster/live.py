"""The live cluster, asked anew each time. The only importer of the Kubernetes client."""

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

from kubernetes import client, config
from urllib3.exceptions import HTTPError

from injector.errors import ClusterError, ObjectError
from injector.objects import Metadata, parse_metadata

TIMEOUT_SECONDS = 2
"""Two reads must fit into the 5 s that the API server gives the webhook."""

METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
"""https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches"""

VERSION_SECONDS = 3600
VERSION_RETRY_SECONDS = 60

NOT_FOUND = 404

T = TypeVar("T")


class LiveCluster:
    """Reads through the API server."""

    def __init__(self, configuration: client.Configuration, clock: Callable[[], float] = time.monotonic) -> None:
        # Each retry would add the whole timeout once more; the API server repeats the admission instead.
        configuration.retries = False
        self._api = client.CoreV1Api(client.ApiClient(configuration, "Accept", METADATA_ONLY))
        self._versions = client.VersionApi(client.ApiClient(configuration))
        self._clock = clock
        self._version: tuple[int, int] | None = None
        self._version_due = 0.0

    def namespace(self, name: str) -> Metadata | None:
        """A namespace's labels and annotations, or None if there is no such namespace."""
        return _fetch(f"namespace {name}", parse_metadata, self._api.read_namespace, name=name)

    def service_account(self, namespace: str, name: str) -> Metadata | None:
        """A ServiceAccount's labels and annotations, or None if there is no such account."""
        what = f"ServiceAccount {namespace}/{name}"
        read = self._api.read_namespaced_service_account
        return _fetch(what, parse_metadata, read, name=name, namespace=namespace)

    def version(self) -> tuple[int, int] | None:
        """Major and minor of the API server, asked for again after an hour: clusters are upgraded under us.

        The last known one outlives a failure to ask: it was right an hour ago, and a pod waits for the answer.
        """
        now = self._clock()
        if self._version is not None and now < self._version_due:
            return self._version
        try:
            self._version = _fetch("its version", parse_version, self._versions.get_code)
            self._version_due = now + VERSION_SECONDS
        except ClusterError:
            if self._version is None:
                raise
            self._version_due = now + VERSION_RETRY_SECONDS
        return self._version


def parse_version(document: Any) -> tuple[int, int]:
    """Major and minor of what /version answers; a managed cluster's minor may be `34+`."""
    return int(document["major"]), int(document["minor"].rstrip("+"))


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


def _fetch(what: str, parse: Callable[[Any], T], read: Callable[..., Any], **names: str) -> T | None:
    try:
        # Left undecoded: the client's models would not know a PartialObjectMetadata.
        response = read(**names, _preload_content=False, _request_timeout=TIMEOUT_SECONDS)
        return parse(json.loads(response.data))
    except client.ApiException as error:
        if error.status == NOT_FOUND:
            return None
        raise ClusterError(f"the API server did not give {what}: {error.status} {error.reason}") from error
    except (HTTPError, ValueError, LookupError, TypeError, AttributeError, ObjectError) as error:
        raise ClusterError(f"the API server did not give {what}: {error}") from error
