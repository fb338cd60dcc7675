"""The MutatingWebhookConfiguration, read, patched and watched as plain JSON. What is in it is decided elsewhere."""

from contextlib import closing
from typing import Any
from urllib.parse import quote

from kubernetes import client
from urllib3 import Timeout

from injector.errors import ConflictError
from injector.k8s.client import JSON, Request, RequestBody, Transport
from injector.k8s.requests import CONNECT_SECONDS, FIELD_MANAGER, READ_SECONDS, TIMEOUT, ask

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"

STRATEGIC_MERGE = "application/strategic-merge-patch+json"
"""Webhooks are merged by name, so whatever else they have stays.

https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
"""


class WebhookConfiguration:
    """One configuration."""

    def __init__(self, configuration: client.Configuration, name: str) -> None:
        self._transport = Transport(configuration)
        self._name = name
        self._path = f"{CONFIGURATIONS}/{quote(name, safe='')}"

    @property
    def what(self) -> str:
        """How a person finds it."""
        return f"MutatingWebhookConfiguration {self._name}"

    def read(self) -> dict[str, Any] | None:
        """The configuration, or None if there is none."""
        return ask(self.what, "read", lambda: self._transport.fetch(Request(self._path, JSON, TIMEOUT)))

    def patch(self, change: dict[str, Any]) -> None:
        """Apply a strategic merge patch; with a resourceVersion in it, ConflictError if that is not the present one."""
        request = Request(self._path, JSON, TIMEOUT, FIELD_MANAGER, RequestBody("PATCH", change, STRATEGIC_MERGE))
        if ask(self.what, "patched", lambda: self._transport.fetch(request)) is None:
            raise ConflictError(f"{self.what} was deleted before it could be patched")

    def await_change(self, resource_version: str, seconds: int) -> bool:
        """Wait until it is another than this version, but no longer than that; tell whether something happened."""
        return ask(self.what, "watched", lambda: self._watch(resource_version, seconds)) or False

    def _watch(self, resource_version: str, seconds: int) -> bool:
        query = {
            # A field selector on the name is what an RBAC rule with resourceNames allows.
            # https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources
            "fieldSelector": f"metadata.name={self._name}",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(seconds),
            "watch": "true",
        }
        timeout = Timeout(connect=CONNECT_SECONDS, read=seconds + READ_SECONDS)
        # Not read to its end: its connection cannot be used again.
        with closing(self._transport.open(Request(CONFIGURATIONS, JSON, timeout, query))) as response:
            return bool(response.readline())
