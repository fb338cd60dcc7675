"""The API client over real sockets: pages, typed errors, dry runs, and exec by WebSocket."""

import base64
import hashlib
import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from kubernetes import client

from injector.errors import (
    ApiError,
    ClusterError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidResponseError,
    NotFoundError,
    ObjectTooLargeError,
    UnavailableError,
    UnreachableError,
)
from injector.k8s import paging, pod_exec
from injector.k8s.client import ApiClient
from injector.k8s.discovery import Collection, list_objects
from injector.k8s.pod_exec import RunningContainer, exec_command
from testing.api_status import build_absence, build_status

PODS = [
    {
        "metadata": {"name": "web", "managedFields": [{"manager": "kubelet"}]},
        "spec": {"containers": []},
        "status": {"phase": "Running"},
    },
    {"metadata": {"name": "old"}, "spec": {"containers": []}, "status": {"phase": "Failed"}},
]
REASONS = {403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired"}
FORBIDDEN_NODES = 'nodes is forbidden: User "eve" cannot list resource "nodes"'
STDOUT, STDERR, ERROR = 1, 2, 3
SUCCESS = (ERROR, b'{"status":"Success"}')
FAILURE = (ERROR, b'{"status":"Failure","message":"command terminated with exit code 1"}')
WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""https://www.rfc-editor.org/rfc/rfc6455#section-1.3"""


class ApiServer(BaseHTTPRequestHandler):
    """A fake API server for the requests of the commands."""

    protocol_version = "HTTP/1.1"
    port: int
    requests: list[tuple[str, str, dict[str, list[str]], Any]]
    frames: list[tuple[int, bytes]]
    handshake: int
    silent_seconds = 0.0
    """Before the end of an exec."""

    is_over: Event

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        self.requests.append(("GET", parts.path, query, self.headers.get("Authorization")))
        if self.headers.get("Upgrade") == "websocket":
            self._run_command()
            return
        token = query.get("continue", [""])[0]
        pages = {"": ([{"n": 1}], "two"), "two": ([{"n": 2}], "three"), "three": (None, "")}
        items, following = pages.get(token, ([], ""))
        *_, resource, name = parts.path.split("/")
        code = int(name) if resource == "status" else 404
        reason = REASONS.get(code, "")
        answers: dict[str, tuple[int, Any]] = {
            "/version": (200, {"gitVersion": "v1.34.4"}),
            "/pages": (200, {"metadata": {"continue": following}, "items": items}),
            "/endless": (200, {"metadata": {"continue": f"{token}x"}, "items": items}),
            "/repeated": (200, {"metadata": {"continue": "two"}, "items": items}),
            "/api/v1/pods": (200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": PODS}),
            "/forbidden": (403, build_status(403, "Forbidden", FORBIDDEN_NODES)),
            "/html": (200, "<html>"),
            "/json-list": (200, []),
            "/no-items": (200, {"metadata": {"resourceVersion": "1"}}),
            "/items-of-numbers": (200, {"items": [1]}),
            "/status/502": (502, "<html>"),
        }
        absence = build_status(code, reason, "a sentence", kind=resource, name=name)
        self._answer(*answers.get(parts.path, (code, absence)))

    def do_POST(self) -> None:
        parts = urlsplit(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append(("POST", parts.path, parse_qs(parts.query), body))
        self._answer(201, {**body, "created": True})

    def do_DELETE(self) -> None:
        parts = urlsplit(self.path)
        self.requests.append(("DELETE", parts.path, parse_qs(parts.query), None))
        is_known = parts.path.endswith("/web")
        success = {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        self._answer(*((200, success) if is_known else build_absence("pods", parts.path.split("/")[-1])))

    def _answer(self, status: int, document: Any) -> None:
        body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _run_command(self) -> None:
        if self.handshake != 101:
            self._answer(self.handshake, build_status(self.handshake, "Forbidden", "pods/exec is forbidden"))
            return
        key = self.headers["Sec-WebSocket-Key"] + WEBSOCKET_GUID
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.send_header("Sec-WebSocket-Protocol", "v4.channel.k8s.io")
        self.end_headers()
        for channel, payload in self.frames:
            self.wfile.write(_build_frame(0x82, bytes([channel]) + payload))
        self.is_over.wait(self.silent_seconds)
        self.wfile.write(_build_frame(0x88, b"\x03\xe8"))
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def _build_frame(opcode: int, payload: bytes) -> bytes:
    """https://www.rfc-editor.org/rfc/rfc6455#section-5.2"""
    length = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2, "big")
    return bytes([opcode]) + length + payload


@pytest.fixture
def server() -> Iterator[type[ApiServer]]:
    """The fake API server: its requests, and the frames that the next exec sends."""
    answers: Any = type("Answers", (ApiServer,), {"requests": [], "frames": [], "handshake": 101, "is_over": Event()})
    with ThreadingHTTPServer(("127.0.0.1", 0), answers) as listening:
        thread = Thread(target=lambda: listening.serve_forever(poll_interval=0.01))
        thread.start()
        answers.port = listening.server_port
        try:
            yield answers
        finally:
            answers.is_over.set()
            listening.shutdown()
            thread.join()


@pytest.fixture
def api_client(server: type[ApiServer]) -> Iterator[ApiClient]:
    """A client of that server with a token."""
    configuration = client.Configuration(f"http://127.0.0.1:{server.port}", {"authorization": "Bearer secret"})
    with ApiClient(configuration) as client_of_server:
        yield client_of_server


def run_status(api_client: ApiClient) -> str:
    container = RunningContainer("team-a", "web", "podrole-sidecar")
    return exec_command(api_client, container, ["python3", "-m", "sidecar.status"])


def test_refused_connection_names_the_path() -> None:
    with (
        ApiClient(client.Configuration("http://127.0.0.1:1")) as client_of_server,
        pytest.raises(UnreachableError, match=r"cannot get /version: 127\.0\.0\.1:1: .*refused"),
    ):
        client_of_server.get("/version")


def test_forbidden_error_has_the_servers_message(api_client: ApiClient) -> None:
    with pytest.raises(ForbiddenError, match=r'User "eve" cannot list resource "nodes" \(403\)'):
        api_client.list("/forbidden")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ApiError),
        (401, ApiError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ConflictError),
        (410, GoneError),
        (422, ApiError),
        (429, UnavailableError),
        (500, UnavailableError),
        (504, UnavailableError),
    ],
)
def test_each_failure_status_raises_its_typed_error(api_client: ApiClient, status: int, error: type[ApiError]) -> None:
    with pytest.raises(ApiError) as raised:
        api_client.get(f"/api/v1/status/{status}", description="pod team-a/web")

    assert type(raised.value) is error
    assert (raised.value.status, raised.value.message) == (status, "a sentence")
    assert str(raised.value) == f"cannot get pod team-a/web: a sentence ({status})"


def test_failure_without_a_status_object_has_the_http_reason(api_client: ApiClient) -> None:
    with pytest.raises(UnavailableError, match=r"cannot get /status/502: Bad Gateway \(502\)"):
        api_client.get("/status/502")


def test_answer_that_is_not_json_is_an_error(api_client: ApiClient) -> None:
    with pytest.raises(InvalidResponseError, match="cannot get /html: the answer is not JSON"):
        api_client.get("/html")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/json-list", "the answer is not a JSON object"),
        ("/no-items", "a list has no items"),
        ("/items-of-numbers", "items must be a list of objects"),
    ],
    ids=["json-list", "no-items", "items-of-numbers"],
)
def test_answer_that_is_not_a_list_is_an_error(api_client: ApiClient, path: str, problem: str) -> None:
    with pytest.raises(InvalidResponseError, match=f"cannot list {path}: .*{problem}"):
        api_client.list(path)


def test_get_or_none_returns_none_for_an_absent_object(api_client: ApiClient) -> None:
    assert api_client.get_or_none("/api/v1/namespaces/nope") is None


def test_get_sends_the_users_token(api_client: ApiClient, server: type[ApiServer]) -> None:
    assert api_client.get("/version") == {"gitVersion": "v1.34.4"}
    assert server.requests == [("GET", "/version", {}, "Bearer secret")]


def test_list_reads_all_pages(api_client: ApiClient, server: type[ApiServer]) -> None:
    items = api_client.list("/pages", query={"labelSelector": "a=b"})

    assert items == [{"n": 1}, {"n": 2}]
    assert [query for _, _, query, _ in server.requests] == [
        {"limit": ["500"], "labelSelector": ["a=b"]},
        {"limit": ["500"], "labelSelector": ["a=b"], "continue": ["two"]},
        {"limit": ["500"], "labelSelector": ["a=b"], "continue": ["three"]},
    ]


def test_list_that_is_larger_than_the_limit_ends_with_an_error(api_client: ApiClient, server: type[ApiServer]) -> None:
    objects = api_client.iterate("/pages", max_bytes=60)

    with pytest.raises(ObjectTooLargeError, match="cannot list /pages: all pages together have more than 0 MiB"):
        list(objects)

    assert len(server.requests) == 2


def test_objects_that_can_name_a_role_are_kept_without_their_status(api_client: ApiClient) -> None:
    assert [*list_objects(api_client, Collection("Pod", "v1", "/api/v1/pods"))] == [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": []}}
    ]


def test_list_that_never_ends_is_given_up(
    api_client: ApiClient, server: type[ApiServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "MAX_PAGES", 3)

    with pytest.raises(ObjectTooLargeError, match="cannot list /endless: it has more than 3 pages"):
        api_client.list("/endless")

    assert len(server.requests) == 3


def test_create_with_dry_run_sends_the_parameter(api_client: ApiClient, server: type[ApiServer]) -> None:
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"namespace": "team-a"}}

    created = api_client.create("/api/v1/namespaces/team-a/pods", pod, dry_run=True)

    assert created == {**pod, "created": True}
    assert server.requests == [("POST", "/api/v1/namespaces/team-a/pods", {"dryRun": ["All"]}, pod)]


def test_delete_sends_the_request(api_client: ApiClient, server: type[ApiServer]) -> None:
    api_client.delete("/api/v1/namespaces/team-a/pods/web")

    assert server.requests == [("DELETE", "/api/v1/namespaces/team-a/pods/web", {}, None)]


def test_deletion_of_what_does_not_exist_is_an_error_of_its_own(api_client: ApiClient) -> None:
    with pytest.raises(NotFoundError, match=r"cannot delete /api/v1/namespaces/team-a/pods/other: .* not found"):
        api_client.delete("/api/v1/namespaces/team-a/pods/other")


def test_exec_returns_standard_output(api_client: ApiClient, server: type[ApiServer]) -> None:
    server.frames = [(STDOUT, b'{"state":'), (STDOUT, b'"serving"}' + b" " * 200), SUCCESS]

    output = run_status(api_client)

    assert output.strip() == '{"state":"serving"}'
    ((_, path, query, authorization),) = server.requests
    assert path == "/api/v1/namespaces/team-a/pods/web/exec"
    assert query["command"] == ["python3", "-m", "sidecar.status"]
    assert query["container"] == ["podrole-sidecar"]
    assert authorization == "Bearer secret"


def test_exec_returns_the_output_of_a_failed_command(api_client: ApiClient, server: type[ApiServer]) -> None:
    server.frames = [(STDOUT, b'{"state":"refused"}'), FAILURE]

    assert run_status(api_client) == '{"state":"refused"}'


@pytest.mark.parametrize("channel", [STDOUT, STDERR], ids=["stdout", "stderr"])
def test_exec_ends_when_the_command_prints_too_much(
    api_client: ApiClient, server: type[ApiServer], channel: int
) -> None:
    server.frames = [(channel, b"x" * 60_000)] * 20 + [SUCCESS]

    with pytest.raises(ClusterError, match="podrole-sidecar printed more than 65536 bytes"):
        run_status(api_client)


def test_exec_failure_without_output_has_standard_error(api_client: ApiClient, server: type[ApiServer]) -> None:
    server.frames = [(STDERR, b"python3: No module named sidecar.status\n"), FAILURE]

    with pytest.raises(ClusterError, match=r"team-a/web, container podrole-sidecar failed: python3: No module named"):
        run_status(api_client)


def test_exec_failure_without_any_output_has_the_status_message(api_client: ApiClient, server: type[ApiServer]) -> None:
    server.frames = [FAILURE]

    with pytest.raises(ClusterError, match="command terminated with exit code 1"):
        run_status(api_client)


def test_exec_reports_a_lost_connection(api_client: ApiClient) -> None:
    with pytest.raises(ClusterError, match="the connection was lost"):
        run_status(api_client)


def test_exec_of_a_command_that_does_not_end_is_an_error(
    api_client: ApiClient, server: type[ApiServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pod_exec, "EXEC_SECONDS", 0.2)
    server.silent_seconds = 5

    with pytest.raises(ClusterError, match=r"the command in .* did not end within 0\.2 s"):
        run_status(api_client)


def test_forbidden_exec_raises_forbidden_error(api_client: ApiClient, server: type[ApiServer]) -> None:
    server.handshake = 403

    with pytest.raises(
        ForbiddenError, match=r"cannot exec in team-a/web, container podrole-sidecar: pods/exec is forbidden \(403\)"
    ):
        run_status(api_client)


@pytest.mark.parametrize(
    "proxy",
    [
        "user:secret@proxy.example.com:3128",
        "gopher://user:secret@proxy.example.com",
        "http://user:secret@[proxy",
        "http://user:secret@proxy.example.com:99999",
        "socks5://user:secret@proxy.example.com",
    ],
    ids=["no-scheme", "other-scheme", "bracket", "port", "socks-without-its-package"],
)
def test_proxy_that_is_no_url_is_an_error_without_its_password(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "urllib3.contrib.socks", None)
    configuration = client.Configuration(host="https://10.0.0.1:443")
    configuration.proxy = proxy

    with pytest.raises(ClusterError, match="the proxy for the API server cannot be used: proxy-url") as found:
        ApiClient(configuration)
    assert "secret" not in str(found.value)
