"""How a person's commands ask the API server, over real sockets: pages, refusals, dry runs, and exec by WebSocket."""

import base64
import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from kubernetes import client

from injector.errors import ClusterError, ForbiddenError
from injector.k8s.client import ApiClient
from injector.k8s.pod_exec import ContainerRef, exec_command

STDOUT, STDERR, ERROR = 1, 2, 3
SUCCESS = (ERROR, b'{"status":"Success"}')
FAILURE = (ERROR, b'{"status":"Failure","message":"command terminated with exit code 1"}')
WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""https://www.rfc-editor.org/rfc/rfc6455#section-1.3"""


class ApiServer(BaseHTTPRequestHandler):
    """Answers as an API server does, as far as the commands can tell."""

    protocol_version = "HTTP/1.1"
    port: int
    requests: list[tuple[str, str, dict[str, list[str]], Any]]
    frames: list[tuple[int, bytes]]
    handshake: int

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        self.requests.append(("GET", parts.path, query, self.headers.get("Authorization")))
        if self.headers.get("Upgrade") == "websocket":
            self._run_command()
            return
        position = query.get("continue", [""])[0]
        pages = {"": ([{"n": 1}], "two"), "two": ([{"n": 2}], "three"), "three": (None, "")}
        items, following = pages[position]
        answers: dict[str, tuple[int, Any]] = {
            "/version": (200, {"gitVersion": "v1.34.4"}),
            "/pages": (200, {"metadata": {"continue": following}, "items": items}),
            "/forbidden": (403, {"message": 'nodes is forbidden: User "eve" cannot list resource "nodes"'}),
            "/html": (200, "<html>"),
        }
        self._answer(*answers.get(parts.path, (404, {"message": "not found"})))

    def do_POST(self) -> None:
        parts = urlsplit(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append(("POST", parts.path, parse_qs(parts.query), body))
        self._answer(201, {**body, "created": True})

    def _answer(self, status: int, document: Any) -> None:
        body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _run_command(self) -> None:
        if self.handshake != 101:
            self._answer(self.handshake, {"message": "pods/exec is forbidden"})
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
        self.wfile.write(_build_frame(0x88, b"\x03\xe8"))
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing: the tests look at the requests."""


def _build_frame(opcode: int, payload: bytes) -> bytes:
    """https://www.rfc-editor.org/rfc/rfc6455#section-5.2"""
    length = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2, "big")
    return bytes([opcode]) + length + payload


@pytest.fixture
def server() -> Iterator[type[ApiServer]]:
    """The requests that came, and what the next command prints."""

    answers: Any = type("Answers", (ApiServer,), {"requests": [], "frames": [], "handshake": 101})
    with ThreadingHTTPServer(("127.0.0.1", 0), answers) as listening:
        thread = Thread(target=lambda: listening.serve_forever(poll_interval=0.01))
        thread.start()
        answers.port = listening.server_port
        try:
            yield answers
        finally:
            listening.shutdown()
            thread.join()


@pytest.fixture
def inspector(server: type[ApiServer]) -> Iterator[ApiClient]:
    """Asks that server, as somebody with a token."""
    configuration = client.Configuration(f"http://127.0.0.1:{server.port}", {"authorization": "Bearer secret"})
    with ApiClient(configuration) as inspecting:
        yield inspecting


def run(inspector: ApiClient) -> str:
    container = ContainerRef("team-a", "web", "podrole-sidecar")
    return exec_command(inspector, container, ["python3", "-m", "sidecar.status"])


def test_server_that_is_not_there_is_named() -> None:
    with (
        ApiClient(client.Configuration("http://127.0.0.1:1")) as inspecting,
        pytest.raises(ClusterError, match=r"cannot get /version: .*refused"),
    ):
        inspecting.get("/version")


def test_refusal_has_the_sentence_of_the_server(inspector: ApiClient) -> None:
    with pytest.raises(ForbiddenError, match=r'User "eve" cannot list resource "nodes" \(403\)'):
        inspector.list("/forbidden")


def test_answer_that_is_no_json_is_an_error(inspector: ApiClient) -> None:
    with pytest.raises(ClusterError, match="cannot get /html: the answer is not JSON"):
        inspector.get("/html")


def test_object_that_does_not_exist_is_none(inspector: ApiClient) -> None:
    assert inspector.get_or_none("/api/v1/namespaces/nope") is None


def test_object_is_read_with_the_caller_s_token(inspector: ApiClient, server: type[ApiServer]) -> None:
    assert inspector.get("/version") == {"gitVersion": "v1.34.4"}
    assert server.requests == [("GET", "/version", {}, "Bearer secret")]


def test_long_list_is_read_page_by_page(inspector: ApiClient, server: type[ApiServer]) -> None:
    items = inspector.list("/pages", query={"labelSelector": "a=b"})

    assert items == [{"n": 1}, {"n": 2}]
    assert [query for _, _, query, _ in server.requests] == [
        {"limit": ["500"], "labelSelector": ["a=b"]},
        {"limit": ["500"], "labelSelector": ["a=b"], "continue": ["two"]},
        {"limit": ["500"], "labelSelector": ["a=b"], "continue": ["three"]},
    ]


def test_creation_is_only_ever_a_dry_run(inspector: ApiClient, server: type[ApiServer]) -> None:
    created = inspector.create("/api/v1/namespaces/team-a/pods", {"kind": "Pod"}, dry_run=True)

    assert created == {"kind": "Pod", "created": True}
    assert server.requests == [("POST", "/api/v1/namespaces/team-a/pods", {"dryRun": ["All"]}, {"kind": "Pod"})]


def test_command_gives_what_it_printed(inspector: ApiClient, server: type[ApiServer]) -> None:
    server.frames = [(STDOUT, b'{"state":'), (STDOUT, b'"serving"}' + b" " * 200), SUCCESS]

    printed = run(inspector)

    assert printed.strip() == '{"state":"serving"}'
    ((_, path, query, login),) = server.requests
    assert path == "/api/v1/namespaces/team-a/pods/web/exec"
    assert query["command"] == ["python3", "-m", "sidecar.status"]
    assert query["container"] == ["podrole-sidecar"]
    assert login == "Bearer secret"


def test_command_that_prints_and_fails_has_still_said_something(inspector: ApiClient, server: type[ApiServer]) -> None:
    server.frames = [(STDOUT, b'{"state":"refused"}'), FAILURE]

    assert run(inspector) == '{"state":"refused"}'


def test_command_that_fails_without_output_tells_its_complaint(inspector: ApiClient, server: type[ApiServer]) -> None:
    server.frames = [(STDERR, b"python3: No module named sidecar.status\n"), FAILURE]

    with pytest.raises(ClusterError, match=r"team-a/web, container podrole-sidecar failed: python3: No module named"):
        run(inspector)


def test_command_that_fails_in_silence_tells_its_end(inspector: ApiClient, server: type[ApiServer]) -> None:
    server.frames = [FAILURE]

    with pytest.raises(ClusterError, match="command terminated with exit code 1"):
        run(inspector)


def test_connection_that_is_lost_is_told(inspector: ApiClient) -> None:
    with pytest.raises(ClusterError, match="the connection was lost"):
        run(inspector)


def test_command_that_is_not_allowed_is_an_error(inspector: ApiClient, server: type[ApiServer]) -> None:
    server.handshake = 403

    with pytest.raises(
        ClusterError, match=r"cannot exec in team-a/web, container podrole-sidecar: pods/exec is forbidden \(403\)"
    ):
        run(inspector)
