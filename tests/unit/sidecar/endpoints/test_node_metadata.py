"""Metadata pass-through, against a fake node service that records its requests."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from contract.value_types import ImdsTokens
from server.messages import Handler, WouldBlock
from sidecar.config import Config
from sidecar.credentials.schedule import State
from sidecar.deadlines import NODE_METADATA_BACKOFF_SECONDS
from sidecar.endpoints import imds, node_metadata
from sidecar.endpoints.handler import create_handler
from sidecar.endpoints.node_metadata import NodeError, NodeMetadata
from sidecar.endpoints.node_paths import CONSTANT
from sidecar.endpoints.state import EndpointState
from testing.clock import Clock
from testing.handlers import call
from testing.serving import serving

SECRET = "the node's secret"
ALLOWED = {
    "/latest/dynamic/instance-identity/document",
    "/latest/meta-data/hostname",
    "/latest/meta-data/instance-id",
    "/latest/meta-data/instance-type",
    "/latest/meta-data/local-hostname",
    "/latest/meta-data/local-ipv4",
    "/latest/meta-data/mac",
    "/latest/meta-data/placement/availability-zone",
    "/latest/meta-data/placement/availability-zone-id",
    "/latest/meta-data/placement/group-name",
    "/latest/meta-data/placement/host-id",
    "/latest/meta-data/placement/partition-number",
    "/latest/meta-data/placement/region",
    "/latest/meta-data/services/domain",
    "/latest/meta-data/services/partition",
}
FORBIDDEN = (
    "/latest/meta-data/iam/info",
    "/latest/meta-data/iam/security-credentials/node",
    "/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
    "/latest/meta-data/public-keys/0/openssh-key",
    "/latest/meta-data/tags/instance/Name",
    "/latest/user-data",
    "/latest/dynamic/instance-identity/pkcs7",
    "/latest/meta-data",
    "/latest/meta-data/placement",
)


@dataclass
class Request:
    """A request that the node service received."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Script:
    """How the node service responds."""

    token_status: int = 200
    status: int = 200
    body: bytes = b"from the node"
    content_type: str = "text/plain"
    location: str = ""
    slow_body: bool = False
    has_length: bool = True
    pages: dict[str, bytes] = field(default_factory=dict)
    """If there are any: what is at which path; any other path is a 404."""

    requests: list[Request] = field(default_factory=list)


class NodeService(ThreadingHTTPServer):
    """A fake node service that responds at every path, also at forbidden ones."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), NodeRequest)
        self.script = Script()
        self.url = f"http://127.0.0.1:{self.server_port}"


class NodeRequest(BaseHTTPRequestHandler):
    """Responds as the script says."""

    timeout = 10
    server: NodeService

    def do_PUT(self) -> None:
        """Return a token."""
        self._note()
        self._send(self.server.script.token_status, b"t0ken==", "text/plain")

    def do_GET(self) -> None:
        """Return the body, or a secret at a forbidden path."""
        self._note()
        script = self.server.script
        body = script.body if self.path in ALLOWED else SECRET.encode()
        if script.pages:
            body, script.status = script.pages.get(self.path, b""), 200 if self.path in script.pages else 404
        self._send(script.status, body, script.content_type)

    def _note(self) -> None:
        self.server.script.requests.append(Request(self.command, self.path, dict(self.headers.items())))

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        if self.server.script.has_length:
            self.send_header("Content-Length", str(len(body)))
        if self.server.script.location:
            self.send_header("Location", self.server.script.location)
        self.end_headers()
        if self.server.script.slow_body and self.command == "GET":
            self._slow_body(body)
        else:
            self.wfile.write(body)

    def _slow_body(self, body: bytes) -> None:
        try:
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(0.05)
        except OSError:
            return

    def log_message(self, *_: Any) -> None:
        """Write no access log."""


@pytest.fixture
def service() -> Iterator[NodeService]:
    with serving(NodeService) as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock(1000)


@pytest.fixture
def node(service: NodeService, clock: Clock) -> NodeMetadata:
    return NodeMetadata(service.url, clock=clock)


ID = "/latest/meta-data/instance-id"


def build_config(url: str, **changes: Any) -> Config:
    role = "arn:aws:iam::111122223333:role/reader"
    settings: dict[str, Any] = {"metadata_passthrough": True, "node_metadata_endpoint": url} | changes
    return Config(
        role_arn=role, region="eu-west-1", session_name="shop.web", run_directory="/run", pod_uid="1", **settings
    )


def build_handler(config: Config) -> Handler:
    return create_handler(EndpointState(config, lambda: State(refresh_at=0), b"key", "boot"))


def read_log(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize("path", FORBIDDEN)
def test_path_outside_of_the_list_is_not_requested(node: NodeMetadata, service: NodeService, path: str) -> None:
    assert node.get(path, may_block=True) is None
    assert service.script.requests == []


def test_list_of_allowed_paths() -> None:
    assert CONSTANT == ALLOWED


def test_silent_node_times_out_and_is_logged_once(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like a hop limit of 1: the connection works, the response is lost."""
    monkeypatch.setattr(node_metadata, "LIMITS", node_metadata.LIMITS._replace(total_seconds=0.2))
    with serving(SilentService) as silent:
        node = NodeMetadata(f"http://127.0.0.1:{silent.server_address[1]}", clock=clock)

        answers = [node.get(path, may_block=True) for path in sorted(CONSTANT)]

    assert answers == [None] * len(CONSTANT)
    [line] = read_log(capsys)
    assert line["event"] == "passthrough-failed"
    assert line["reason"] == "PUT /latest/api/token: timed out"


class SilentService(ThreadingHTTPServer):
    """Accepts connections and never responds."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), SilentRequest)


class SilentRequest(BaseHTTPRequestHandler):
    """Reads until the client closes."""

    def handle(self) -> None:
        """Never respond."""
        while self.rfile.read(1):
            pass


def test_failed_node_is_retried_after_the_backoff(
    node: NodeMetadata, service: NodeService, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    service.script.token_status = 403
    assert node.get(ID, may_block=True) is None
    assert node.get(ID, may_block=False) is None
    service.script.token_status = 200
    clock.now += NODE_METADATA_BACKOFF_SECONDS

    answer = node.get(ID, may_block=True)

    assert answer is not None
    assert [line["reason"] for line in read_log(capsys)] == ["PUT /latest/api/token: status 403"]
    assert [request.method for request in service.script.requests] == ["PUT", "PUT", "GET"]


def test_time_for_which_the_node_was_suspended_counts(
    service: NodeService, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CLOCK_MONOTONIC stops meanwhile; only CLOCK_BOOTTIME goes on."""
    monkeypatch.setattr(time, "clock_gettime", lambda number: {time.CLOCK_BOOTTIME: clock.now}[number])
    node = NodeMetadata(service.url)
    node.get(ID, may_block=True)
    clock.now += node_metadata.CACHE_TTL_SECONDS

    with pytest.raises(WouldBlock):
        node.get(ID, may_block=False)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        pytest.param({"status": 302, "location": "/latest/user-data"}, f"GET {ID}: status 302", id="redirect"),
        pytest.param({"status": 401}, f"GET {ID}: status 401", id="unauthorized"),
        pytest.param({"status": 500}, f"GET {ID}: status 500", id="server-error"),
        pytest.param(
            {"body": b"x" * (64 * 1024 + 1)}, f"GET {ID}: the response is larger than 65536 bytes", id="too-large"
        ),
        pytest.param({"body": b"x" * 1000, "slow_body": True}, f"GET {ID}: timed out", id="too-slow"),
        pytest.param(
            {"body": b"x" * 1000, "slow_body": True, "has_length": False},
            f"GET {ID}: timed out",
            id="too-slow-without-length",
        ),
    ],
)
def test_unusable_response_of_the_node_is_an_error(
    service: NodeService, answers: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_metadata, "LIMITS", node_metadata.LIMITS._replace(total_seconds=0.5))
    for name, value in answers.items():
        setattr(service.script, name, value)

    with pytest.raises(NodeError) as caught:
        node_metadata.fetch(service.url, ID)

    assert str(caught.value) == reason
    assert [request.path for request in service.script.requests] == ["/latest/api/token", ID]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"HTTP/9 x\r\n\r\n", id="unknown-version"),
        pytest.param(b"\x00" * 100, id="binary"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nxx", id="truncated-body"),
    ],
)
def test_invalid_http_response_error_quotes_nothing(sent: bytes) -> None:
    class Odd(BaseHTTPRequestHandler):
        def handle(self) -> None:
            self.connection.recv(65536)
            self.connection.sendall(sent)

    with serving(lambda: ThreadingHTTPServer(("127.0.0.1", 0), Odd)) as odd, pytest.raises(NodeError) as caught:
        node_metadata.fetch(f"http://127.0.0.1:{odd.server_port}", ID)

    assert str(caught.value).startswith("PUT /latest/api/token: ")
    assert "x" not in str(caught.value).removeprefix("PUT /latest/api/token: ")


def test_node_request_has_its_own_token_and_nothing_from_the_client(service: NodeService) -> None:
    handler = build_handler(build_config(service.url))
    headers = {
        "Host": "169.254.169.254",
        "X-aws-ec2-metadata-token-ttl-seconds": "21600",
        "Authorization": "client",
        "User-Agent": "client",
        "Cookie": "client",
        "X-Client": "client",
    }

    reply = call(handler, f"{ID}?client=client", headers)

    token, document = service.script.requests
    assert (reply.status, reply.body) == (200, b"from the node")
    assert (token.method, token.path) == ("PUT", "/latest/api/token")
    assert token.headers["X-aws-ec2-metadata-token-ttl-seconds"] == "60"
    assert (document.method, document.path) == ("GET", ID)
    assert document.headers["X-aws-ec2-metadata-token"] == "t0ken=="
    assert "client" not in str(service.script.requests)


def test_response_is_cached_with_its_content_type(node: NodeMetadata, service: NodeService, clock: Clock) -> None:
    service.script.content_type = "application/json; charset=utf-8"
    path = "/latest/dynamic/instance-identity/document"
    node.get(path, may_block=True)
    clock.now += node_metadata.CACHE_TTL_SECONDS - 1

    answer = node.get(path, may_block=False)

    assert answer is not None
    assert answer.body == b"from the node"
    assert dict(answer.headers)["Content-Type"] == "application/json; charset=utf-8"
    assert dict(answer.headers)["Cache-Control"] == "no-store"
    assert len(service.script.requests) == 2


def test_not_found_is_cached(node: NodeMetadata, service: NodeService) -> None:
    service.script.status = 404

    answers = [node.get(ID, may_block=may_block) for may_block in (True, False)]

    assert answers == [None, None]
    assert len(service.script.requests) == 2


def test_invalid_content_type_becomes_plain_text(service: NodeService) -> None:
    service.script.content_type = "text/html\xff"

    answer = node_metadata.fetch(service.url, ID)

    assert answer is not None
    assert dict(answer.headers)["Content-Type"] == "text/plain"


def test_uncached_path_raises_would_block_in_the_loop(node: NodeMetadata, service: NodeService) -> None:
    with pytest.raises(WouldBlock):
        node.get(ID, may_block=False)

    assert service.script.requests == []


def test_uncached_path_is_counted_once_although_it_would_block(service: NodeService) -> None:
    state = EndpointState(build_config(service.url), lambda: State(refresh_at=0), b"key", "boot")
    handler = create_handler(state)

    with pytest.raises(WouldBlock):
        call(handler, ID, may_block=False)

    assert service.script.requests == []
    assert call(handler, ID, may_block=True).body == b"from the node"
    assert call(handler, ID, may_block=False).body == b"from the node"
    assert state.counters.requests == {("instance-id", 200): 2}


def test_pass_through_requires_a_token_if_configured(service: NodeService) -> None:
    handler = build_handler(build_config(service.url, imds_tokens=ImdsTokens.REQUIRED))

    assert call(handler, ID).status == 401
    assert service.script.requests == []


@pytest.mark.parametrize("path", sorted(ALLOWED - {imds.IDENTITY, "/latest/meta-data/placement/region"}))
def test_without_pass_through_node_paths_are_not_found(service: NodeService, path: str) -> None:
    handler = build_handler(build_config(service.url, metadata_passthrough=False))

    assert call(handler, path).status == 404
    assert service.script.requests == []


def test_configured_values_are_not_requested_from_the_node(service: NodeService) -> None:
    handler = build_handler(build_config(service.url, zone_label="eu-west-1c", instance_id="i-0123456789abcdef0"))
    names = ("placement/availability-zone", "instance-id", "placement/region")

    replies = [call(handler, f"/latest/meta-data/{name}").body for name in names]

    assert replies == [b"eu-west-1c", b"i-0123456789abcdef0", b"eu-west-1"]
    assert service.script.requests == []


def test_identity_document_falls_back_to_the_configuration(service: NodeService) -> None:
    service.script.body = b'{"instanceId": "i-0123456789abcdef0"}'
    handlers = [build_handler(build_config(url)) for url in (service.url, "http://127.0.0.1:1")]

    there, away = (json.loads(call(handler, imds.IDENTITY).body) for handler in handlers)

    assert there == {"instanceId": "i-0123456789abcdef0"}
    assert away["region"] == "eu-west-1"
