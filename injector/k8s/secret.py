"""Reads and writes the Secret with the webhook's certificates, as plain JSON."""

from typing import Any

from kubernetes.client import Configuration
from urllib3 import Timeout

from injector.deadlines import CERT_CONNECT_SECONDS, CERT_READ_SECONDS
from injector.errors import ClusterError, ConflictError, ForbiddenError, NotFoundError, ObjectError
from injector.k8s.api_errors import translate_object_errors
from injector.k8s.client import ApiClient
from injector.k8s.objects import read_mapping, read_name
from injector.k8s.request import build_path
from injector.k8s.server_clock import ServerClock

TIMEOUT = Timeout(connect=CERT_CONNECT_SECONDS, read=CERT_READ_SECONDS)
""" Only the thread that reconciles the certificates waits for these requests."""

MAX_JSON_BYTES = 4 * 1024 * 1024
"""Of an object in JSON, which takes up to 26 times as much memory: etcd stores 1.5 MiB, and base64 needs no escapes."""

FIELD_MANAGER = {"fieldManager": "podrole-injector"}
"""The owner of the written fields: https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers."""


class CertificateSecret:
    """One Secret. Its methods raise ClusterError."""

    def __init__(
        self, configuration: Configuration, namespace: str, name: str, server_clock: ServerClock | None = None
    ) -> None:
        self._client = ApiClient(configuration, TIMEOUT, server_clock, MAX_JSON_BYTES)
        self._namespace = namespace
        self._name = name
        self._collection = build_path("namespaces", namespace, "secrets")
        self._path = build_path("namespaces", namespace, "secrets", name)

    @property
    def description(self) -> str:
        """Kind, namespace and name."""
        return f"Secret {self._namespace}/{self._name}"

    def read(self) -> dict[str, Any] | None:
        """The Secret, or None if it does not exist."""
        return read_stored(self._client, self._path, self.description)

    def write(self, document: dict[str, Any]) -> None:
        """Update the Secret, or create it if the document has no resourceVersion.

        Raises ConflictError where the Secret was changed, created or deleted since it was read.
        """
        if "resourceVersion" in document["metadata"]:
            self._update(document)
        else:
            self._create(document)

    def _update(self, document: dict[str, Any]) -> None:
        try:
            self._client.update(self._path, document, description=self.description, query=FIELD_MANAGER)
        except NotFoundError as error:
            raise ConflictError(f"{self.description} was deleted before it could be updated") from error

    def _create(self, document: dict[str, Any]) -> None:
        named = {**document, "metadata": {**document["metadata"], "name": self._name, "namespace": self._namespace}}
        try:
            self._client.create(self._collection, named, description=self.description, query=FIELD_MANAGER)
        except NotFoundError as error:
            message = f"cannot create {self.description}: there is no namespace {self._namespace}"
            raise ClusterError(message) from error
        except ForbiddenError as error:
            # RBAC cannot limit the verb create to one name, so the installation has an empty Secret.
            # https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources
            empty = f"kubectl create secret generic {self._name} --namespace {self._namespace}"
            raise ClusterError(f"{error}. It does not exist; create it empty: {empty}") from error


def read_stored(client: ApiClient, path: str, description: str) -> dict[str, Any] | None:
    """An object that is written later, or None if it does not exist. Without its version no write could be checked."""
    document = client.get_or_none(path, description=description)
    if document is not None:
        with translate_object_errors(f"get {description}"):
            if not read_name(read_mapping(document, "metadata"), "resourceVersion"):
                raise ObjectError("it has no resourceVersion")
    return document
