"""A client of the API server that sends and gives plain JSON: what the server stored, and the warnings beside it."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kubernetes import client, config

Manifest = dict[str, Any]
Found = TypeVar("Found")

RESOURCES = {
    "CronJob": "apis/batch/v1/{}/cronjobs",
    "DaemonSet": "apis/apps/v1/{}/daemonsets",
    "Deployment": "apis/apps/v1/{}/deployments",
    "Job": "apis/batch/v1/{}/jobs",
    "LimitRange": "api/v1/{}/limitranges",
    "MutatingWebhookConfiguration": "apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    "Namespace": "api/v1/namespaces",
    "Node": "api/v1/nodes",
    "Pod": "api/v1/{}/pods",
    "ReplicationController": "api/v1/{}/replicationcontrollers",
    "ResourceQuota": "api/v1/{}/resourcequotas",
    "ServiceAccount": "api/v1/{}/serviceaccounts",
    "StatefulSet": "apis/apps/v1/{}/statefulsets",
}
"""Kind: where its objects are, with a place for the namespace of those that are in one."""

WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')
"""https://www.rfc-editor.org/rfc/rfc7234#section-5.5: the server sends 299 and the text as a quoted string."""

MERGE = "application/merge-patch+json"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"
TIMEOUT_SECONDS = 30
POLL_SECONDS = 0.1


class RefusedError(Exception):
    """The API server answered with a failure. The message is the one that kubectl prints."""


@dataclass(frozen=True)
class Answer:
    """What the API server answered."""

    object: Manifest
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ApiServer:
    """A Kubernetes API server, and who talks to it."""

    host: str
    kubeconfig: str
    request: Callable[..., Any]

    def create(self, manifest: Manifest, namespace: str = "", *, dry_run: bool = False) -> Answer:
        """Create an object; with dry run the server does all but store it."""
        return self._send("POST", _path(manifest["kind"], namespace) + ("?dryRun=All" if dry_run else ""), manifest)

    def read(self, kind: str, name: str, namespace: str = "") -> Manifest:
        """An object as it is stored; RefusedError if there is none."""
        return self._send("GET", f"{_path(kind, namespace)}/{name}").object

    def list(self, kind: str, namespace: str = "") -> list[Manifest]:
        """All objects of a kind."""
        items: list[Manifest] = self._send("GET", _path(kind, namespace)).object["items"]
        return items

    def patch(self, target: tuple[str, str], change: Manifest, namespace: str = "", *, how: str = MERGE) -> Answer:
        """Change an object, `target` being kind and name, or a part of it (name/status)."""
        kind, name = target
        return self._send("PATCH", f"{_path(kind, namespace)}/{name}", change, how)

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Delete an object at once, with all that it owns in the background."""
        options = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
        self._send("DELETE", f"{_path(kind, namespace)}/{name}", options)

    def _send(self, method: str, path: str, body: Manifest | None = None, form: str = "application/json") -> Answer:
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": form, "Accept": "application/json"}
        response = self.request(method, f"{self.host}/{path}", body=content, headers=headers, timeout=TIMEOUT_SECONDS)
        answer = json.loads(response.data)
        if response.status >= 400:
            raise RefusedError(answer["message"])
        warnings = response.headers.get("Warning", "")
        return Answer(answer, [re.sub(r"\\(.)", r"\1", text) for text in WARNING.findall(warnings)])


def _path(kind: str, namespace: str) -> str:
    return RESOURCES[kind].format(f"namespaces/{namespace}")


def load_configuration(kubeconfig: str) -> client.Configuration:
    """Where the cluster of a kubeconfig is, and how to log in to it."""
    configuration = client.Configuration()
    config.load_kube_config(kubeconfig, client_configuration=configuration)  # type: ignore[no-untyped-call] # not annotated
    configuration.retries = False
    return configuration


@contextmanager
def connect(kubeconfig: str) -> Iterator[ApiServer]:
    """Talk to the cluster of a kubeconfig until the block ends."""
    configuration = load_configuration(kubeconfig)
    with client.ApiClient(configuration) as api_client:
        # Its own methods decode into models, which drop fields that they do not know; its pool has the certificates.
        yield ApiServer(configuration.host, kubeconfig, api_client.rest_client.pool_manager.request)


def wait_for(what: str, look: Callable[[], Found | None], within_seconds: float = 30) -> Found:
    """Look until there is something; fail with what was waited for."""
    deadline = time.monotonic() + within_seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not within {within_seconds} s"
        time.sleep(POLL_SECONDS)
    return found
