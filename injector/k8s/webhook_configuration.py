"""Reads, patches and watches a webhook configuration, as plain JSON."""

from typing import Any
from urllib.parse import quote

from kubernetes.client import Configuration
from urllib3 import Timeout

from injector.deadlines import CERT_CONNECT_SECONDS, CERT_READ_SECONDS
from injector.errors import ConflictError, NotFoundError
from injector.k8s.client import ApiClient
from injector.k8s.request import STRATEGIC_MERGE
from injector.k8s.secret import FIELD_MANAGER, MAX_JSON_BYTES, TIMEOUT, read_stored
from injector.k8s.server_clock import ServerClock

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/{}s"
MUTATING, VALIDATING = "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"


class WebhookConfiguration:
    """One configuration. Its methods raise ClusterError."""

    def __init__(
        self, configuration: Configuration, name: str, server_clock: ServerClock | None = None, kind: str = MUTATING
    ) -> None:
        self._client = ApiClient(configuration, TIMEOUT, server_clock, MAX_JSON_BYTES)
        self._kind = kind
        self._name = name
        self._collection = CONFIGURATIONS.format(kind.lower())
        self._path = f"{self._collection}/{quote(name, safe='')}"

    @property
    def description(self) -> str:
        """Kind and name."""
        return f"{self._kind} {self._name}"

    def read(self) -> dict[str, Any] | None:
        """The configuration, or None if it does not exist."""
        return read_stored(self._client, self._path, self.description)

    def patch(self, change: dict[str, Any]) -> None:
        """Apply a strategic merge patch; ConflictError if it has a resourceVersion that is not the current one."""
        try:
            self._client.patch(self._path, change, STRATEGIC_MERGE, description=self.description, query=FIELD_MANAGER)
        except NotFoundError as error:
            raise ConflictError(f"{self.description} was deleted before it could be patched") from error

    def wait_for_change(self, resource_version: str, seconds: int) -> bool:
        """Wait for a change after this version, for so many seconds at most; return whether there was one."""
        query = {
            # RBAC rules with resourceNames allow a watch with a field selector for the name.
            # https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources
            "fieldSelector": f"metadata.name={self._name}",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(seconds),
        }
        timeout = Timeout(connect=CERT_CONNECT_SECONDS, read=seconds + CERT_READ_SECONDS)
        try:
            with self._client.watch(
                self._collection, description=self.description, query=query, timeout=timeout
            ) as stream:
                return stream.wait_for_event()
        except NotFoundError:
            return False
