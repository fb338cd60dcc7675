"""The small API server with all that an injector asks one for: it also keeps the Secret and the configuration."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from injector.errors import ConflictError
from tests.unit.injector.cases import ENVIRON
from tests.unit.injector.certs.rotation_simulation import Stored, build_empty_configuration
from tests.unit.injector.k8s.fake_list_watch_server import NAMESPACES, Exchange, ListWatchServer

SECRETS = f"{NAMESPACES}/podrole-system/secrets"
SECRET = f"{SECRETS}/podrole-injector-certs"
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
CONFIGURATION = f"{CONFIGURATIONS}/podrole-injector"


@dataclass(frozen=True)
class Sent:
    """What was sent to be stored."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str
    document: Any


class WritingExchange(Exchange):
    """One connection, over which objects are written, too."""

    api: "WritableApiServer"

    def do_PUT(self) -> None:  # noqa: N802 - its caller's name for it
        url = urlsplit(self.path)
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        sent = Sent(self.command, url.path, dict(parse_qsl(url.query)), self.headers["Content-Type"], document)
        self.api.changes.append(sent)
        self.send_document(*self.api.store(sent))

    do_PATCH = do_POST = do_PUT  # noqa: N815 - likewise


@dataclass
class WritableApiServer(ListWatchServer):
    """Lists, watches, and keeps two objects."""

    exchange: type[Exchange] = WritingExchange
    kept: dict[str, Stored] = field(
        default_factory=lambda: {SECRET: Stored("the Secret"), CONFIGURATION: Stored("the configuration")}
    )
    changes: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kept[SECRET].force({"metadata": {"name": "podrole-injector-certs"}})
        self.kept[CONFIGURATION].force(build_empty_configuration())

    def store(self, sent: Sent) -> tuple[int, Any]:
        """Write as the API server does: status, and what is then stored or what is wrong."""
        if sent.method == "POST":
            path = f"{sent.path}/{sent.document['metadata']['name']}"
            stored = self.kept.setdefault(path, Stored(path))
        else:
            path = sent.path
            stored = self.kept.get(path, Stored(path))
        if stored.document is None and sent.method != "POST":
            return _fail(404, "not found")
        try:
            (stored.patch if sent.method == "PATCH" else stored.write)(sent.document)
        except ConflictError as error:
            return _fail(409, str(error))
        return 201 if sent.method == "POST" else 200, stored.read()

    def _read(self, path: str) -> tuple[int, Any]:
        if path not in self.kept:
            return super()._read(path)
        document = self.kept[path].read()
        return (200, document) if document else _fail(404, "not found")


def _fail(status: int, message: str) -> tuple[int, Any]:
    return status, {"kind": "Status", "code": status, "message": message}


def write_kubeconfig(directory: Path, port: int) -> Path:
    """How a process finds the server."""
    kubeconfig = {
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "nobody"}}],
        "users": [{"name": "nobody", "user": {}}],
        "current-context": "here",
    }
    path = directory / "kubeconfig"
    path.write_text(json.dumps(kubeconfig))
    return path


@contextmanager
def writable_api_server() -> Iterator[WritableApiServer]:
    """Run one until the block ends."""
    api = WritableApiServer()
    api.start()
    try:
        yield api
    finally:
        api.stop()


def build_environ(directory: Path, api_port: int, port: int) -> dict[str, str]:
    """The environment of an injector as it is in a pod, its own certificates included; the health port is the next."""
    return {
        **ENVIRON,
        "PATH": os.environ["PATH"],
        "KUBECONFIG": str(write_kubeconfig(directory, api_port)),
        "PODROLE_NAMESPACE": "podrole-system",
        "PODROLE_WEBHOOK_HOST": "127.0.0.1",
        "PODROLE_WEBHOOK_PORT": str(port),
        "PODROLE_HEALTH_PORT": str(port + 1),
    }
