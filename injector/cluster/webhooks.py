"""The MutatingWebhookConfiguration, read, patched and watched as plain JSON. What is in it is decided elsewhere."""

from contextlib import closing
from typing import Any

from kubernetes import client
from urllib3.exceptions import HTTPError

from injector.cluster.requests import TIMEOUT_SECONDS, translate_errors
from injector.cluster.secrets import FIELD_MANAGER
from injector.errors import ClusterError, ConflictError

STRATEGIC_MERGE = "application/strategic-merge-patch+json"
"""Webhooks are merged by name, so whatever else they have stays.

https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
"""


class WebhookConfiguration:
    """One configuration."""

    def __init__(self, configuration: client.Configuration, name: str) -> None:
        configuration.retries = False  # each would add the whole timeout once more, and the next pass tries again
        self._api: Any = client.AdmissionregistrationV1Api(client.ApiClient(configuration))
        self._name = name

    @property
    def what(self) -> str:
        """How a person finds it."""
        return f"MutatingWebhookConfiguration {self._name}"

    def read(self) -> dict[str, Any] | None:
        """The configuration, or None if there is none."""
        with translate_errors(self.what, "read") as found:
            found.response = self._api.read_mutating_webhook_configuration(
                self._name, _preload_content=False, _request_timeout=TIMEOUT_SECONDS
            )
        return found.document

    def patch(self, change: dict[str, Any]) -> None:
        """Apply a strategic merge patch; with a resourceVersion in it, ConflictError if that is not the present one."""
        with translate_errors(self.what, "patched") as found:
            found.response = self._api.patch_mutating_webhook_configuration(
                self._name,
                change,
                field_manager=FIELD_MANAGER,
                _content_type=STRATEGIC_MERGE,
                _preload_content=False,
                _request_timeout=TIMEOUT_SECONDS,
            )
        if found.document is None:
            raise ConflictError(f"{self.what} was deleted before it could be patched")

    def await_change(self, resource_version: str, seconds: int) -> bool:
        """Wait until it is another than this version, but no longer than that; tell whether something happened."""
        connect_seconds, read_seconds = TIMEOUT_SECONDS
        try:
            response = self._api.list_mutating_webhook_configuration(
                # A field selector on the name is what an RBAC rule with resourceNames allows.
                # https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources
                field_selector=f"metadata.name={self._name}",
                resource_version=resource_version,
                timeout_seconds=seconds,
                watch=True,
                _preload_content=False,
                _request_timeout=(connect_seconds, seconds + read_seconds),
            )
            with closing(response):  # not read to its end: its connection cannot be used again
                return bool(response.readline())
        except client.ApiException as error:
            raise ClusterError(f"{self.what} cannot be watched: {error.status} {error.reason}") from error
        except (HTTPError, OSError, ValueError) as error:
            raise ClusterError(f"{self.what} cannot be watched: {error}") from error
