"""The manifests of kustomize/base on a private API server. Processes on this machine take the place of its pods."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testing.cluster.api import ApiServer, wait_for
from testing.cluster.balancer import balance
from testing.cluster.manifests import BASE, Kubectl, Manifest, find, find_settings
from testing.cluster.rbac_users import build_kubeconfig
from testing.hostile.good_tenant import ReviewSender, User, create_pod
from testing.hostile.replica import Replica, find_ports, run_replica

NAMESPACE = "podrole-system"
NAME = "podrole-injector"
REPLICAS = 2
TOKEN_SECONDS = 24 * 3600
READY_WITHIN_SECONDS = 60


@dataclass(frozen=True)
class Installation:
    """An installation whose Service leads to the ports of this machine."""

    api: ApiServer
    settings: Mapping[str, str]
    """Environment of the replicas."""

    port: int
    """The address of the Service: all replicas."""

    first_ports: list[int]

    def send_reviews(self) -> ReviewSender:
        """Connect as the API server does: with the name of the Service and the caBundle of its configuration."""
        [webhook, *_] = self.api.read("MutatingWebhookConfiguration", NAME)["webhooks"]
        ca = base64.b64decode(webhook["clientConfig"]["caBundle"]).decode()
        return ReviewSender(self.port, ca, f"{NAME}.{NAMESPACE}.svc")

    @contextmanager
    def run(self, directory: Path) -> Iterator[list[Replica]]:
        """Run all replicas until the block ends; they are ready."""
        with ExitStack() as stack:
            replicas = []
            for number, first_port in enumerate(self.first_ports):
                (directory / str(number)).mkdir()
                replicas.append(stack.enter_context(run_replica(directory / str(number), self.settings, first_port)))
            for replica in replicas:
                replica.await_ready(READY_WITHIN_SECONDS)
            yield replicas


@contextmanager
def install(api: ApiServer, kubectl: Kubectl, directory: Path) -> Iterator[Installation]:
    """Install the manifests until the block ends. The Deployment is left out: there are no nodes."""
    first_ports = [find_ports() for _ in range(REPLICAS)]
    with balance(first_ports) as port:
        manifests = [each for each in kubectl.render(BASE) if each["kind"] != "Deployment"]
        _lead_to_this_machine(manifests, port)
        kubectl.run("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(manifests))
        kubeconfig = directory / "injector.kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(build_kubeconfig(api, _create_token(api))))
        settings = {**find_settings(manifests), "KUBECONFIG": str(kubeconfig)}
        yield Installation(api, settings, port, first_ports)


def _lead_to_this_machine(manifests: list[Manifest], port: int) -> None:
    # The API server resolves the external name, and still verifies the certificate for the name of the Service.
    find(manifests, "Service")["spec"] = {"type": "ExternalName", "externalName": "localhost"}
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        for webhook in find(manifests, kind)["webhooks"]:
            webhook["clientConfig"]["service"]["port"] = port


def _create_token(api: ApiServer) -> str:
    path = f"{api.host}/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{NAME}/token"
    body = json.dumps({"spec": {"expirationSeconds": TOKEN_SECONDS}})
    response = api.request("POST", path, body=body, headers={"Content-Type": "application/json"}, timeout=30)
    document: dict[str, Any] = json.loads(response.data)
    return str(document["status"]["token"])


def await_injection(api: ApiServer, namespace: str) -> None:
    """Wait until the API server calls the webhook: a new configuration takes effect after about a second."""
    problems = [""]

    def is_injected() -> bool:
        problems.append(create_pod(User(api, namespace)))
        return not problems[-1]

    try:
        wait_for("pods are injected", is_injected)
    except AssertionError as error:
        raise AssertionError(f"{error}: {problems[-1]}") from error
