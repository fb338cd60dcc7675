"""DirectReader against a fake API server on loopback."""

import json
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from kubernetes.client import Configuration
from kubernetes.config import kube_config

from injector.deadlines import LIVE_READ_SECONDS
from injector.errors import ClusterError
from injector.k8s import direct_reader
from injector.k8s.direct_reader import MAX_VERSION_BYTES, DirectReader
from injector.k8s.kubeconfig import load_configuration
from injector.k8s.objects import Metadata
from injector.k8s.reader import MetadataReader
from injector.k8s.request import JSON, METADATA
from testing.api_status import build_absence, build_status
from testing.protobuf import MAGIC, encode_document, wrap
from testing.raw_server import Connection, raw_server
from testing.services.certificates import write_certificates
from tests.unit.injector.k8s.watched_cluster import wait_until

ENABLED = {"podrole.io/injection": "enabled"}


@dataclass
class ApiServer:
    """Its answers, by path: status and document, or None to hang; and the headers of the requests."""

    url: str = ""
    answers: dict[str, tuple[int, Any] | None] = field(default_factory=dict)
    accepted: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    requests_to_drop: int = 0
    """How many of the next requests get no answer but a closed connection."""

    resets: bool = False
    """Whether those connections are closed with a reset."""

    stopping: Event = field(default_factory=Event)


@contextmanager
def run(context: ssl.SSLContext | None = None) -> Iterator[ApiServer]:
    api = ApiServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def do_GET(self) -> None:
            api.accepted.append(self.headers["Accept"])
            api.authorizations += self.headers.get_all("Authorization") or []
            if api.requests_to_drop:
                api.requests_to_drop -= 1
                self.drop()
                return
            answer = api.answers.get(self.path, build_absence(*self.path.split("/")[-2:]))
            if answer is None:
                api.stopping.wait(10)
                return
            status, document = answer
            body = document if isinstance(document, bytes) else self.encode(document)
            is_asked = status == HTTPStatus.OK
            self.send_response(status)
            self.send_header("Content-Type", self.headers["Accept"].partition(";")[0] if is_asked else JSON)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def encode(self, document: Any) -> bytes:
            if not isinstance(document, dict) or "metadata" not in document or "code" in document:
                return json.dumps(document).encode()
            *_, namespace, resource, name = self.path.split("/")
            place = {"name": name, **({"namespace": namespace} if resource == "serviceaccounts" else {})}
            return encode_document({**document, "metadata": {**place, **document["metadata"]}})

        def drop(self) -> None:
            self.close_connection = True
            if api.resets:  # a linger time of zero sends RST instead of FIN
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.rfile.close()
                self.connection.close()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        api.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield api
        finally:
            api.stopping.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def api_server() -> Iterator[ApiServer]:
    with run() as api:
        yield api


def connect(url: str, ca: Path | None = None) -> MetadataReader:
    configuration = Configuration()
    configuration.host = url
    configuration.ssl_ca_cert = str(ca) if ca else None
    return DirectReader(configuration)


def test_hanging_server_times_out(api_server: ApiServer) -> None:
    api_server.answers["/api/v1/namespaces/team-a"] = None
    reader = connect(api_server.url)
    started = time.monotonic()

    with pytest.raises(ClusterError, match="namespace team-a"):
        reader.namespace("team-a")

    assert LIVE_READ_SECONDS <= time.monotonic() - started < LIVE_READ_SECONDS + 1
    assert len(api_server.accepted) == 1


def test_refused_connection_is_an_error(api_server: ApiServer) -> None:
    reader = connect("http://127.0.0.1:1")

    with pytest.raises(ClusterError, match="ServiceAccount team-a/worker"):
        reader.service_account("team-a", "worker")
    assert api_server.accepted == []


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_failure_status_is_an_error_not_an_absent_object(api_server: ApiServer, status: int) -> None:
    api_server.answers["/api/v1/namespaces/team-a"] = (status, build_status(status, ""))

    with pytest.raises(ClusterError, match=str(status)):
        connect(api_server.url).namespace("team-a")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"metadata": {"labels": {"a": "b"}}}',
        MAGIC,
        MAGIC + b"\x12\xff",
        wrap("PartialObjectMetadata", b"\x0a\xff"),
    ],
    ids=["empty", "html", "json-list", "json-object", "no-object", "cut-off", "cut-off-metadata"],
)
def test_invalid_answer_is_an_error(api_server: ApiServer, body: bytes) -> None:
    api_server.answers["/api/v1/namespaces/team-a"] = (200, body)

    with pytest.raises(ClusterError, match="team-a"):
        connect(api_server.url).namespace("team-a")


def test_bug_in_a_parser_is_not_reported_as_an_invalid_answer(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    api_server.answers["/api/v1/namespaces/team-a"] = (200, {"metadata": {}})
    monkeypatch.setattr(direct_reader, "read_single", lambda _kind, data: data.labels)

    with pytest.raises(AttributeError):
        connect(api_server.url).namespace("team-a")


def test_absent_object_is_none(api_server: ApiServer) -> None:
    reader = connect(api_server.url)

    assert reader.namespace("team-a") is None
    assert reader.service_account("team-a", "worker") is None


@pytest.mark.parametrize("resets", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("is_secure", [False, True], ids=["http", "https"])
def test_request_on_a_closed_kept_connection_is_sent_again(tmp_path: Path, *, is_secure: bool, resets: bool) -> None:
    certificates = write_certificates(tmp_path, ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    with run(context if is_secure else None) as api:
        api.answers["/api/v1/namespaces/team-a"] = (200, {"metadata": {"labels": ENABLED}})
        reader = connect(api.url, certificates.ca)
        reader.namespace("team-a")
        api.requests_to_drop, api.resets = 1, resets

        assert reader.namespace("team-a") == Metadata(ENABLED, {})
        assert len(api.accepted) == 3


NAMESPACE = encode_document({"metadata": {"name": "team-a", "labels": ENABLED}})
HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: {METADATA}\r\nContent-Length: {len(NAMESPACE)}\r\n\r\n".encode()


def close_at_once(_connection: Connection, _tls: ssl.SSLContext) -> None:
    pass


def close_in_handshake(connection: Connection, _tls: ssl.SSLContext) -> None:
    connection.socket.recv(1)


def close_after(answer: bytes) -> Callable[[Connection, ssl.SSLContext], None]:
    def answer_and_close(connection: Connection, tls: ssl.SSLContext) -> None:
        with tls.wrap_socket(connection.socket, server_side=True) as secured:
            opened = Connection(secured, connection.stopped)
            opened.read_request()
            opened.send(answer)

    return answer_and_close


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(close_at_once, id="before-the-handshake"),
        pytest.param(close_in_handshake, id="in-the-handshake"),
        pytest.param(close_after(b""), id="before-the-answer"),
        pytest.param(close_after(HEAD[:-10]), id="in-the-headers"),
        pytest.param(close_after(HEAD + NAMESPACE[:-1]), id="in-the-body"),
    ],
)
def test_request_without_a_complete_answer_is_sent_again_on_a_new_connection(
    tmp_path: Path, fault: Callable[[Connection, ssl.SSLContext], None]
) -> None:
    certificates = write_certificates(tmp_path, ["127.0.0.1"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates.certificate, certificates.key)
    steps = iter((fault, close_after(HEAD + NAMESPACE)))

    with raw_server(lambda connection: next(steps)(connection, tls), reads_first=False) as server:
        assert connect(server.url("https"), certificates.ca).namespace("team-a") == Metadata(ENABLED, {})


def test_closed_connection_is_retried_only_once(api_server: ApiServer) -> None:
    api_server.requests_to_drop = 100

    with pytest.raises(ClusterError, match="namespace team-a"):
        connect(api_server.url).namespace("team-a")
    assert len(api_server.accepted) == 2


def test_retry_stays_within_the_timeout(api_server: ApiServer) -> None:
    api_server.answers["/api/v1/namespaces/team-a"] = None
    api_server.requests_to_drop = 1
    started = time.monotonic()

    with pytest.raises(ClusterError, match="namespace team-a"):
        connect(api_server.url).namespace("team-a")

    assert time.monotonic() - started < LIVE_READ_SECONDS + 1
    assert len(api_server.accepted) == 2


def test_unreadable_token_is_an_error(api_server: ApiServer) -> None:
    def fail(_: Configuration) -> None:
        raise FileNotFoundError("token")

    configuration = Configuration()
    configuration.host = api_server.url
    configuration.api_key["BearerToken"] = "bearer secret"
    configuration.refresh_api_key_hook = fail  # type: ignore[assignment] # the client says None

    with pytest.raises(ClusterError, match="namespace team-a: token"):
        DirectReader(configuration).namespace("team-a")


def test_only_metadata_is_requested_and_parsed(api_server: ApiServer) -> None:
    kind = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
    annotations = {"iam.amazonaws.com/role": "reader"}
    api_server.answers = {
        "/api/v1/namespaces/team-a": (200, {**kind, "metadata": {"labels": {"podrole.io/injection": "enabled"}}}),
        "/api/v1/namespaces/team-a/serviceaccounts/worker": (200, {**kind, "metadata": {"annotations": annotations}}),
    }
    reader = connect(api_server.url)

    assert reader.namespace("team-a") == Metadata({"podrole.io/injection": "enabled"}, {})
    assert reader.service_account("team-a", "worker") == Metadata({}, annotations)
    assert all("as=PartialObjectMetadata" in accepted for accepted in api_server.accepted)


def test_kubeconfig_is_used_outside_of_a_cluster(
    api_server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api_server.answers["/api/v1/namespaces/team-a"] = (200, {"metadata": {"labels": ENABLED}})
    kubeconfig = {
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": api_server.url}}],
        "users": [{"name": "test", "user": {"token": "secret"}}],
    }
    path = tmp_path / "config"
    path.write_text(json.dumps(kubeconfig))
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(path))

    reader = DirectReader(load_configuration())

    assert reader.namespace("team-a") == Metadata(ENABLED, {})
    assert api_server.authorizations == ["Bearer secret"]


def build_reader(clock: list[float], url: str) -> DirectReader:
    """A reader whose clock shows the only number of the list."""
    configuration = Configuration()
    configuration.host = url
    return DirectReader(configuration, clock=lambda: clock[0])


@pytest.mark.parametrize(
    "document",
    [{}, {"major": "1"}, {"major": "one", "minor": "34"}, [], "1.34"],
    ids=["empty", "no-minor", "word-as-major", "list", "string"],
)
def test_invalid_version_is_an_error(api_server: ApiServer, document: object) -> None:
    api_server.answers["/version/"] = (200, document)

    with pytest.raises(ClusterError, match="the API server's version"):
        connect(api_server.url).version()


@pytest.mark.parametrize(("minor", "expected"), [("34", 34), ("31+", 31)])
def test_version_is_read_from_the_server(api_server: ApiServer, minor: str, expected: int) -> None:
    api_server.answers["/version/"] = (200, {"major": "1", "minor": minor, "gitVersion": "v1"})

    assert connect(api_server.url).version() == (1, expected)


def test_version_is_read_again_after_an_hour(api_server: ApiServer) -> None:
    clock = [0.0]
    reader = build_reader(clock, api_server.url)
    read = []

    for now, minor in ((0, "31"), (3599, "32"), (3600, "32")):
        clock[0] = now
        api_server.answers["/version/"] = (200, {"major": "1", "minor": minor})
        read.append(reader.version())

    assert read == [(1, 31), (1, 31), (1, 32)]


def test_known_version_is_used_while_another_thread_reads_it_again(api_server: ApiServer) -> None:
    clock = [0.0]
    reader = build_reader(clock, api_server.url)
    api_server.answers["/version/"] = (200, {"major": "1", "minor": "34"})
    reader.version()
    api_server.answers["/version/"] = None  # hangs
    clock[0] = 3600
    requests = len(api_server.accepted)
    thread = Thread(target=reader.version)
    thread.start()
    wait_until("the version is read again", lambda: len(api_server.accepted) > requests)

    assert reader.is_version_known
    assert reader.version() == (1, 34)
    thread.join()


def test_known_version_is_kept_when_the_server_fails(api_server: ApiServer) -> None:
    clock = [0.0]
    reader = build_reader(clock, api_server.url)
    api_server.answers["/version/"] = (200, {"major": "1", "minor": "34"})
    reader.version()
    api_server.answers["/version/"] = (500, build_status(500, "InternalError"))

    clock[0] = 3600
    assert reader.version() == (1, 34)
    requests = len(api_server.accepted)
    clock[0] = 3659
    assert reader.version() == (1, 34)
    assert len(api_server.accepted) == requests


def test_version_over_its_limit_is_an_error(api_server: ApiServer) -> None:
    """A document of 16 MiB took 400 MiB of memory."""
    api_server.answers["/version/"] = (200, {"major": "1", "minor": "34", "note": "x" * MAX_VERSION_BYTES})

    with pytest.raises(ClusterError, match="the API server's version has more than 64 KiB"):
        connect(api_server.url).version()


@pytest.mark.parametrize("host", ["a..example", f"{'a' * 64}.example"], ids=["empty-label", "long-label"])
def test_host_that_is_no_name_is_an_error(host: str) -> None:
    with pytest.raises(ClusterError, match=r"cannot get namespace team-a: .*label"):
        connect(f"http://{host}").namespace("team-a")
