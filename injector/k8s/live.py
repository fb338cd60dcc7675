"""The live cluster, asked anew each time. Nothing but its version is kept."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from kubernetes import client, config
from urllib3 import Timeout
from urllib3.exceptions import HTTPError, ProtocolError

from injector.errors import ClusterError, ObjectError
from injector.k8s.client import METADATA, Request, StatusError, Transport, build_path
from injector.k8s.objects import Metadata, parse_metadata

TIMEOUT_SECONDS = 2
"""Two reads must fit into the 5 s that the API server gives the webhook."""

VERSION_SECONDS = 3600
VERSION_RETRY_SECONDS = 60

NOT_FOUND = 404

T = TypeVar("T")


class DirectReader:
    """Reads through the API server."""

    def __init__(self, configuration: client.Configuration, clock: Callable[[], float] = time.monotonic) -> None:
        self._transport = Transport(configuration)
        self._clock = clock
        self._version: tuple[int, int] | None = None
        self._version_due = 0.0

    def namespace(self, name: str) -> Metadata | None:
        """A namespace's labels and annotations, or None if there is no such namespace."""
        return self._read(f"namespace {name}", parse_metadata, build_path("namespaces", name))

    def service_account(self, namespace: str, name: str) -> Metadata | None:
        """A ServiceAccount's labels and annotations, or None if there is no such account."""
        what = f"ServiceAccount {namespace}/{name}"
        return self._read(what, parse_metadata, build_path("namespaces", namespace, "serviceaccounts", name))

    def version(self) -> tuple[int, int] | None:
        """Major and minor of the API server, asked for again after an hour: clusters are upgraded under us.

        The last known one outlives a failure to ask: it was right an hour ago, and a pod waits for the answer.
        """
        if self.is_version_known:
            return self._version
        now = self._clock()
        try:
            self._version = self._read("its version", parse_version, "/version/")
            self._version_due = now + VERSION_SECONDS
        except ClusterError:
            if self._version is None:
                raise
            self._version_due = now + VERSION_RETRY_SECONDS
        return self._version

    @property
    def is_version_known(self) -> bool:
        """Whether the version is answered without asking for it."""
        return self._version is not None and self._clock() < self._version_due

    def is_cached(self, namespace: str, service_account: str) -> bool:  # noqa: ARG002 - the interface's
        """Nothing is kept."""
        return False

    def _read(self, what: str, parse: Callable[[Any], T], path: str) -> T | None:
        try:
            return parse(self._fetch(path))
        except StatusError as error:
            if error.status == NOT_FOUND:
                return None
            raise ClusterError(f"the API server did not give {what}: {error}") from error
        except (HTTPError, OSError, config.ConfigException) as error:  # the latter two: the token's file
            raise ClusterError(f"the API server did not give {what}: {error}") from error
        except (ValueError, LookupError, TypeError, AttributeError, ObjectError) as error:
            raise ClusterError(f"the API server did not give {what}: {error}") from error

    def _fetch(self, path: str) -> Any:
        """Send a request; once more, in what is left of its time, if the server had closed the kept connection.

        A server that restarts or tires of an idle connection closes it while the request is on its way, and that says
        nothing about the next connection: https://www.rfc-editor.org/rfc/rfc9112#section-9.3.1
        """
        deadline = time.monotonic() + TIMEOUT_SECONDS
        try:
            return self._transport.fetch(Request(path, METADATA, Timeout(total=TIMEOUT_SECONDS)))
        except ProtocolError as error:
            left = deadline - time.monotonic()
            if left <= 0 or not isinstance(error.args[-1], ConnectionError):
                raise
        return self._transport.fetch(Request(path, METADATA, Timeout(total=left)))


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
