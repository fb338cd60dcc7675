"""The Secret with the certificates, read and written as plain JSON. What is in it is none of this module's business."""

from typing import Any

from kubernetes import client

from injector.cluster.requests import TIMEOUT_SECONDS, translate_errors
from injector.errors import ClusterError, ConflictError

FIELD_MANAGER = "podrole-injector"


class CertificateSecret:
    """One Secret. A write fails with ConflictError where somebody else wrote since the read."""

    def __init__(self, configuration: client.Configuration, namespace: str, name: str) -> None:
        configuration.retries = False  # each would add the whole timeout once more, and the next pass tries again
        self._api: Any = client.CoreV1Api(client.ApiClient(configuration))
        self._namespace = namespace
        self._name = name

    @property
    def what(self) -> str:
        """How a person finds it."""
        return f"Secret {self._namespace}/{self._name}"

    def read(self) -> dict[str, Any] | None:
        """The Secret, or None if there is none."""
        with translate_errors(self.what, "read") as found:
            found.response = self._api.read_namespaced_secret(
                self._name, self._namespace, _preload_content=False, _request_timeout=TIMEOUT_SECONDS
            )
        return found.document

    def write(self, document: dict[str, Any]) -> None:
        """Write the Secret as it was read and changed; create it if the document was never read."""
        if "resourceVersion" in document["metadata"]:
            self._replace(document)
        else:
            self._create(document)

    def _replace(self, document: dict[str, Any]) -> None:
        with translate_errors(self.what, "updated") as found:
            found.response = self._api.replace_namespaced_secret(
                self._name,
                self._namespace,
                document,
                field_manager=FIELD_MANAGER,
                _preload_content=False,
                _request_timeout=TIMEOUT_SECONDS,
            )
        if found.document is None:
            raise ConflictError(f"{self.what} was deleted before it could be updated")

    def _create(self, document: dict[str, Any]) -> None:
        named = {**document, "metadata": {**document["metadata"], "name": self._name, "namespace": self._namespace}}
        try:
            with translate_errors(self.what, "created") as found:
                found.response = self._api.create_namespaced_secret(
                    self._namespace,
                    named,
                    field_manager=FIELD_MANAGER,
                    _preload_content=False,
                    _request_timeout=TIMEOUT_SECONDS,
                )
        except ConflictError:
            raise
        except ClusterError as error:
            # The right to create cannot be limited to one name, so the installation brings the Secret, empty.
            # https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources
            empty = f"kubectl create secret generic {self._name} --namespace {self._namespace}"
            raise ClusterError(f"{error}. It does not exist; create it empty: {empty}") from error
        if found.document is None:
            raise ClusterError(f"{self.what} cannot be created: there is no namespace {self._namespace}")
