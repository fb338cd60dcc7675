"""A client of the API server in plain JSON: it returns what the server stored, and the warnings of the response."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from kubernetes import client, config
from urllib3 import HTTPHeaderDict

Manifest = dict[str, Any]
Found = TypeVar("Found")

RESOURCES = {
    "ClusterRole": "apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ConfigMap": "api/v1/{}/configmaps",
    "CronJob": "apis/batch/v1/{}/cronjobs",
    "CustomResourceDefinition": "apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "DaemonSet": "apis/apps/v1/{}/daemonsets",
    "Deployment": "apis/apps/v1/{}/deployments",
    "Event": "api/v1/{}/events",
    "Job": "apis/batch/v1/{}/jobs",
    "LimitRange": "api/v1/{}/limitranges",
    "MutatingWebhookConfiguration": "apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    "Namespace": "api/v1/namespaces",
    "Node": "api/v1/nodes",
    "Pod": "api/v1/{}/pods",
    "ReplicationController": "api/v1/{}/replicationcontrollers",
    "ResourceQuota": "api/v1/{}/resourcequotas",
    "Rollout": "apis/argoproj.io/v1alpha1/{}/rollouts",
    "RoleBinding": "apis/rbac.authorization.k8s.io/v1/{}/rolebindings",
    "PriorityClass": "apis/scheduling.k8s.io/v1/priorityclasses",
    "RuntimeClass": "apis/node.k8s.io/v1/runtimeclasses",
    "ServiceAccount": "api/v1/{}/serviceaccounts",
    "StatefulSet": "apis/apps/v1/{}/statefulsets",
    "ValidatingAdmissionPolicy": "apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "ValidatingWebhookConfiguration": "apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    "ValidatingAdmissionPolicyBinding": "apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
}
"""Kind: the path of its collection, with a placeholder where its objects are namespaced."""

WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')
"""https://www.rfc-editor.org/rfc/rfc7234#section-5.5: the server sends 299 and the text as a quoted string."""

MERGE = "application/merge-patch+json"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"
TIMEOUT_SECONDS = 30
POLL_SECONDS = 0.1


class RefusedError(Exception):
    """The API server answered with a failure; the message is the one that kubectl prints."""


@dataclass(frozen=True)
class Answer:
    """The stored object and the warnings of a response."""

    object: Manifest
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ApiServer:
    """A Kubernetes API server, with the credentials of a kubeconfig."""

    host: str
    kubeconfig: str
    request: Callable[..., Any]
    token_header: Mapping[str, str] = field(default_factory=dict)
    """Of a user with a token; a client certificate needs none."""

    def create(self, manifest: Manifest, namespace: str = "", *, dry_run: bool = False) -> Answer:
        """Create an object; in a dry run the server does everything except storing it."""
        return self._send("POST", _path(manifest["kind"], namespace) + ("?dryRun=All" if dry_run else ""), manifest)

    def create_under(self, kind: str, name: str, manifest: Manifest, namespace: str = "") -> Answer:
        """Create a subresource (name/binding)."""
        return self._send("POST", f"{_path(kind, namespace)}/{name}", manifest)

    def replace(self, manifest: Manifest, namespace: str = "") -> Answer:
        """Replace an object."""
        return self._send("PUT", f"{_path(manifest['kind'], namespace)}/{manifest['metadata']['name']}", manifest)

    def read(self, kind: str, name: str, namespace: str = "") -> Manifest:
        """The stored object; RefusedError if it does not exist."""
        return self._send("GET", f"{_path(kind, namespace)}/{name}").object

    def list(self, kind: str, namespace: str = "") -> list[Manifest]:
        """All objects of a kind."""
        items: list[Manifest] = self._send("GET", _path(kind, namespace)).object["items"]
        return items

    def patch(
        self, target: tuple[str, str], change: Any, namespace: str = "", *, how: str = MERGE, dry_run: bool = False
    ) -> Answer:
        """Change an object; `target` is its kind and name, or a subresource of it (name/status)."""
        kind, name = target
        query = "?dryRun=All" if dry_run else ""
        return self._send("PATCH", f"{_path(kind, namespace)}/{name}{query}", change, how)

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Delete an object at once, and in the background all that it owns."""
        options = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
        self._send("DELETE", f"{_path(kind, namespace)}/{name}", options)

    def version(self) -> str:
        """Its version, as v1.34.4."""
        return str(self._send("GET", "version").object["gitVersion"])

    def impersonate(self, user: str, *groups: str) -> "ApiServer":
        """The same server for another user, as `kubectl --as`: https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/."""
        identity = [("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups)]

        def request(method: str, url: str, *, headers: Mapping[str, str], **options: Any) -> Any:
            return self.request(method, url, headers=HTTPHeaderDict([*headers.items(), *identity]), **options)

        return replace(self, request=request)

    def _send(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Answer:
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type, "Accept": "application/json", **self.token_header}
        response = self.request(method, f"{self.host}/{path}", body=content, headers=headers, timeout=TIMEOUT_SECONDS)
        answer = json.loads(response.data)
        if response.status >= 400:
            raise RefusedError(answer["message"])
        warnings = response.headers.get("Warning", "")
        return Answer(answer, [re.sub(r"\\(.)", r"\1", text) for text in WARNING.findall(warnings)])


def _path(kind: str, namespace: str) -> str:
    return RESOURCES[kind].format(f"namespaces/{namespace}")


def load_configuration(kubeconfig: str) -> client.Configuration:
    """The client's configuration for a kubeconfig."""
    configuration = client.Configuration()
    config.load_kube_config(kubeconfig, client_configuration=configuration)  # type: ignore[no-untyped-call] # not annotated
    configuration.retries = False
    return configuration


@contextmanager
def connect(kubeconfig: str) -> Iterator[ApiServer]:
    """Connect to the cluster of a kubeconfig until the block ends."""
    configuration = load_configuration(kubeconfig)
    with client.ApiClient(configuration) as api_client:
        # Only its connection pool is used: its methods decode into models, which drop unknown fields.
        bearer = configuration.auth_settings().get("BearerToken")
        header = {bearer["key"]: str(bearer["value"])} if bearer else {}
        yield ApiServer(configuration.host, kubeconfig, api_client.rest_client.pool_manager.request, header)


def wait_for(description: str, find: Callable[[], Found | None], within_seconds: float = 60) -> Found:
    """Call `find` until it returns something; fail with the description after `within_seconds`."""
    deadline = time.monotonic() + within_seconds
    while not (found := find()):
        assert time.monotonic() < deadline, f"{description}: not within {within_seconds} s"
        time.sleep(POLL_SECONDS)
    return found
