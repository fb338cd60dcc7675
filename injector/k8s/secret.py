"""The Secret with the certificates, read and written as plain JSON. What is in it is none of this module's business."""

from typing import Any

from kubernetes import client

from injector.errors import ClusterError, ConflictError
from injector.k8s.client import JSON, Request, RequestBody, Transport, build_path
from injector.k8s.requests import FIELD_MANAGER, TIMEOUT, ask


class CertificateSecret:
    """One Secret. A write fails with ConflictError where somebody else wrote since the read."""

    def __init__(self, configuration: client.Configuration, namespace: str, name: str) -> None:
        self._transport = Transport(configuration)
        self._namespace = namespace
        self._name = name

    @property
    def what(self) -> str:
        """How a person finds it."""
        return f"Secret {self._namespace}/{self._name}"

    def read(self) -> dict[str, Any] | None:
        """The Secret, or None if there is none."""
        path = build_path("namespaces", self._namespace, "secrets", self._name)
        return ask(self.what, "read", lambda: self._transport.fetch(Request(path, JSON, TIMEOUT)))

    def write(self, document: dict[str, Any]) -> None:
        """Write the Secret as it was read and changed; create it if the document was never read."""
        if "resourceVersion" in document["metadata"]:
            self._replace(document)
        else:
            self._create(document)

    def _replace(self, document: dict[str, Any]) -> None:
        path = build_path("namespaces", self._namespace, "secrets", self._name)
        if self._send("updated", path, RequestBody("PUT", document)) is None:
            raise ConflictError(f"{self.what} was deleted before it could be updated")

    def _create(self, document: dict[str, Any]) -> None:
        path = build_path("namespaces", self._namespace, "secrets")
        named = {**document, "metadata": {**document["metadata"], "name": self._name, "namespace": self._namespace}}
        try:
            created = self._send("created", path, RequestBody("POST", named))
        except ConflictError:
            raise
        except ClusterError as error:
            # The right to create cannot be limited to one name, so the installation brings the Secret, empty.
            # https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources
            empty = f"kubectl create secret generic {self._name} --namespace {self._namespace}"
            raise ClusterError(f"{error}. It does not exist; create it empty: {empty}") from error
        if created is None:
            raise ClusterError(f"{self.what} cannot be created: there is no namespace {self._namespace}")

    def _send(self, done: str, path: str, change: RequestBody) -> dict[str, Any] | None:
        request = Request(path, JSON, TIMEOUT, FIELD_MANAGER, change)
        return ask(self.what, done, lambda: self._transport.fetch(request))
