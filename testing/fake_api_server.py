"""A fake API server for a whole injector: it also stores the Secret and the webhook configurations."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from injector.errors import ConflictError
from testing.api_status import build_absence, build_status
from testing.cases import ENVIRON
from testing.fake_list_watch_server import NAMESPACES, ListWatchServer, RequestHandler
from testing.stored_object import StoredObject, build_empty_configuration

SECRETS = f"{NAMESPACES}/podrole-system/secrets"
SECRET = f"{SECRETS}/podrole-injector-certs"
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
CONFIGURATION = f"{CONFIGURATIONS}/podrole-injector"
WARNINGS = CONFIGURATION.replace("mutating", "validating")
"""The configuration of the webhook that warns. A test creates it."""


@dataclass(frozen=True)
class WriteRequest:
    """A request that writes an object."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str
    document: Any


class WritableRequestHandler(RequestHandler):
    """Handles the requests of one connection, writes included."""

    api: "WritableApiServer"

    def do_PUT(self) -> None:  # noqa: N802 - the name that http.server calls
        url = urlsplit(self.path)
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = WriteRequest(
            self.command, url.path, dict(parse_qsl(url.query)), self.headers["Content-Type"], document
        )
        self.api.writes.append(request)
        faults = self.api.faults[request.path, False]
        if faults:
            self.close_connection = True
            faults.popleft()(self)
            return
        self.send_document(*self.api.write(request))

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date of an answer."""
        return super().date_time_string((time.time() if timestamp is None else timestamp) + self.api.clock_error)

    do_PATCH = do_POST = do_PUT  # noqa: N815 - likewise


@dataclass
class WritableApiServer(ListWatchServer):
    """Lists, watches, and stores objects that can be written."""

    handler: type[RequestHandler] = WritableRequestHandler
    stored: dict[str, StoredObject] = field(
        default_factory=lambda: {
            SECRET: StoredObject("the Secret"),
            CONFIGURATION: StoredObject("the configuration"),
            WARNINGS: StoredObject("the configuration of warnings"),
        }
    )
    clock_error: float = 0.0
    """How many seconds its clock is ahead."""

    writes: list[WriteRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stored[SECRET].force({"metadata": {"name": "podrole-injector-certs"}})
        self.stored[CONFIGURATION].force(build_empty_configuration())

    def write(self, request: WriteRequest) -> tuple[int, Any]:
        """Write as the API server does; return the HTTP status, and the stored object or a Status."""
        if request.method == "POST":
            path = f"{request.path}/{request.document['metadata']['name']}"
            stored = self.stored.setdefault(path, StoredObject(path))
        else:
            path = request.path
            stored = self.stored.get(path, StoredObject(path))
        if stored.document is None and request.method != "POST":
            return _build_absence(path)
        try:
            (stored.patch if request.method == "PATCH" else stored.write)(request.document)
        except ConflictError as error:
            return 409, build_status(409, "Conflict", str(error))
        return 201 if request.method == "POST" else 200, _describe(path, stored.document)

    def _read(self, path: str) -> tuple[int, Any]:
        if path not in self.stored:
            return super()._read(path)
        document = self.stored[path].read()
        return (200, _describe(path, document)) if document else _build_absence(path)


def _describe(path: str, document: Any) -> Any:
    """The object as the API server sends it: with its type, and its namespace if it has one."""
    is_secret = path.startswith(SECRETS)
    configuration = "ValidatingWebhookConfiguration" if path == WARNINGS else "MutatingWebhookConfiguration"
    types = ("Secret", "v1") if is_secret else (configuration, "admissionregistration.k8s.io/v1")
    namespace = {"namespace": "podrole-system"} if is_secret else {}
    kind, api_version = types
    return {**document, "kind": kind, "apiVersion": api_version, "metadata": {**document["metadata"], **namespace}}


def _build_absence(path: str) -> tuple[int, Any]:
    resource, name = path.split("/")[-2:]
    return build_absence(resource, name, "" if path.startswith(SECRETS) else "admissionregistration.k8s.io")


def write_kubeconfig(directory: Path, port: int) -> Path:
    """Write a kubeconfig for the server on this port."""
    kubeconfig = {
        "clusters": [{"name": "fake", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "anonymous"}}],
        "users": [{"name": "anonymous", "user": {}}],
        "current-context": "fake",
    }
    path = directory / "kubeconfig"
    path.write_text(json.dumps(kubeconfig))
    return path


@contextmanager
def writable_api_server() -> Iterator[WritableApiServer]:
    """Run the server until the block ends."""
    api = WritableApiServer()
    api.start()
    try:
        yield api
    finally:
        api.stop()


def build_environ(directory: Path, api_port: int, port: int) -> dict[str, str]:
    """The environment of an injector that manages its certificates, as in a pod; the health port is the next port."""
    return {
        **ENVIRON,
        "PATH": os.environ["PATH"],
        "KUBECONFIG": str(write_kubeconfig(directory, api_port)),
        "PODROLE_NAMESPACE": "podrole-system",
        "PODROLE_WEBHOOK_HOST": "127.0.0.1",
        "PODROLE_WEBHOOK_PORT": str(port),
        "PODROLE_HEALTH_PORT": str(port + 1),
    }
