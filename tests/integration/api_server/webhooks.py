"""Webhooks for an API server on this machine: the injector as its image starts it, and another vendor's."""

import base64
import json
import re
import signal
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from testing.admission import build_program
from testing.cluster.api import wait_for
from testing.services.certificates import CertificateFiles, write_certificates
from testing.services.programs import running

ADDRESS = "127.0.0.1"
SYSTEM_NAMESPACES = ["kube-system", "kube-public", "kube-node-lease", "podrole-system"]


@dataclass
class Injector:
    """The injector's process. It can be restarted at the same address."""

    directory: Path
    settings: Mapping[str, str]
    certificates: CertificateFiles
    port: str = "0"
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        return f"https://{ADDRESS}:{self.port}/mutate"

    @property
    def log(self) -> str:
        return (self.directory / "injector.log").read_text()

    def start(self) -> None:
        environ = {
            "PODROLE_WEBHOOK_HOST": ADDRESS,
            "PODROLE_WEBHOOK_PORT": self.port,
            "PODROLE_HEALTH_PORT": "0",
            "PODROLE_TLS_CERT": str(self.certificates.certificate),
            "PODROLE_TLS_KEY": str(self.certificates.key),
            **self.settings,
        }
        # On SIGTERM it would wait for the API server's idle connections.
        program = replace(build_program(environ), end_signal=signal.SIGQUIT)
        self.port = self.stack.enter_context(running(program, self.directory))[1]
        wait_for("the injector has read the cluster", self.is_ready)

    def is_ready(self) -> bool:
        """Whether /readyz returns 200. Each start has a new health port, which the log contains."""
        *_, port = re.findall(r"Listening at: http://[^\s\"]+:(\d+)", self.log)
        with closing(HTTPConnection(ADDRESS, int(port), timeout=5)) as connection:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == HTTPStatus.OK

    def stop(self) -> None:
        self.stack.close()


@contextmanager
def run_injector(directory: Path, settings: Mapping[str, str]) -> Iterator[Injector]:
    """Run the injector until the block ends."""
    injector = Injector(directory, settings, write_certificates(directory, [ADDRESS]))
    injector.start()
    try:
        yield injector
    finally:
        injector.stop()


def build_selector(run: Mapping[str, str]) -> dict[str, Any]:
    """The namespaceSelector of the manifests, limited to namespaces of this test run."""
    expressions = [
        {"key": "podrole.io/injection", "operator": "In", "values": ["enabled"]},
        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": SYSTEM_NAMESPACES},
    ]
    return {"matchExpressions": expressions, "matchLabels": dict(run)}


def build_configuration(name: str, webhook: dict[str, Any], url: str, ca: Path) -> dict[str, Any]:
    """Build the configuration of a webhook for pod creations; `webhook` overrides its fields."""
    client = {"url": url, "caBundle": base64.b64encode(ca.read_bytes()).decode()}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
    common = {
        "clientConfig": client,
        "rules": [{**rule, "scope": "Namespaced"}],
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "timeoutSeconds": 5,
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [{**common, **webhook}],
    }


MESH_INIT = {"name": "mesh-init", "image": "example/mesh:1"}
MESH_PROXY = {"name": "mesh-proxy", "image": "example/mesh:1"}


class Mesh(BaseHTTPRequestHandler):
    """Another vendor's webhook: adds an init container before all others, and a container after them."""

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        response = {"uid": review["request"]["uid"], "allowed": True}
        if patch := self.build_patch(review["request"]["object"]["spec"]):
            response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
        body = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @staticmethod
    def build_patch(spec: dict[str, Any]) -> list[dict[str, Any]]:
        return _build_mesh_patch(spec)

    def log_message(self, *_: object) -> None:
        """Do not log: tests check the pod."""


class RegionChanger(Mesh):
    """Another vendor's webhook: sets the region of podrole's sidecar."""

    @staticmethod
    def build_patch(spec: dict[str, Any]) -> list[dict[str, Any]]:
        for index, container in enumerate(spec.get("initContainers", [])):
            for place, variable in enumerate(container.get("env", [])):
                if variable["name"] == "PODROLE_REGION":
                    path = f"/spec/initContainers/{index}/env/{place}/value"
                    return [{"op": "replace", "path": path, "value": "ap-south-1"}]
        return []


def _build_mesh_patch(spec: dict[str, Any]) -> list[dict[str, Any]]:
    if any(container["name"] == MESH_PROXY["name"] for container in spec["containers"]):
        return []
    place, value = (
        ("/spec/initContainers/0", MESH_INIT) if spec.get("initContainers") else ("/spec/initContainers", [MESH_INIT])
    )
    return [
        {"op": "add", "path": place, "value": value},
        {"op": "add", "path": "/spec/containers/-", "value": MESH_PROXY},
    ]


@contextmanager
def run_mesh(directory: Path, handler: type[Mesh] = Mesh) -> Iterator[tuple[str, Path]]:
    """Run the other vendor's webhook until the block ends; yield its URL and its CA file."""
    certificates = write_certificates(directory, [ADDRESS])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    with ThreadingHTTPServer((ADDRESS, 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"https://{ADDRESS}:{server.server_port}/", certificates.ca
        finally:
            server.shutdown()
            thread.join()
