"""Metadata pass-through: random request targets, and a running sidecar."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.messages import Handler
from sidecar.credentials.schedule import State
from sidecar.deadlines import NODE_METADATA_SECONDS
from sidecar.endpoints.handler import create_handler
from sidecar.endpoints.state import EndpointState
from testing.handlers import call
from testing.raw_server import Connection, raw_server
from testing.serving import serving
from testing.sidecars import Sidecar, build_environ, running_sidecar
from tests.unit.sidecar.endpoints.test_node_metadata import ALLOWED, ID, SECRET, NodeService, build_config


def test_running_sidecar_passes_on_allowed_paths_only(tmp_path: Path) -> None:
    with serving(NodeService) as service:
        with passing_sidecar(tmp_path, service.url) as sidecar:
            replies = [sidecar.request(path) for path in (ID, ID, "/latest/user-data", "/latest/meta-data/iam/info")]

            assert [(reply.status, reply.body) for reply in replies] == [
                *[(200, "from the node")] * 2,
                *[(404, "")] * 2,
            ]
        assert [request.path for request in service.script.requests] == ["/latest/api/token", ID]
        assert not re.search("Traceback", sidecar.log)


PATHS = (
    "meta-data/instance-id,meta-data/instance-type,meta-data/mac,meta-data/network/interfaces/macs/*/vpc-id,"
    "meta-data/spot/instance-action,meta-data/events/maintenance/scheduled,meta-data/tags/instance/*,"
    "dynamic/instance-identity/document"
)
MAC = "0e:49:61:0f:c3:11"
META = "/latest/meta-data"
PAGES = {
    f"{META}/instance-id": b"i-0123456789abcdef0",
    f"{META}/mac": MAC.encode(),
    f"{META}/network/interfaces/macs": f"{MAC}/".encode(),
    f"{META}/network/interfaces/macs/{MAC}/vpc-id": b"vpc-1",
    f"{META}/events/maintenance/scheduled": b"[]",
    f"{META}/tags/instance": b"Name",
    f"{META}/tags/instance/Name": b"web",
    "/latest/dynamic/instance-identity/document": b'{"instanceType": "m7g.large"}',
    f"{META}/iam/info": SECRET.encode(),
    "/latest/user-data": SECRET.encode(),
}
AGENTS: dict[str, list[tuple[str, int, str | None]]] = {
    "fluent-bit": [
        (f"{META}/instance-id", 200, "i-0123456789abcdef0"),
        (f"{META}/mac", 200, MAC),
        (f"{META}/network/interfaces/macs/{MAC}/vpc-id/", 200, "vpc-1"),
        (f"{META}/tags/instance", 200, "Name"),
        (f"{META}/tags/instance/Name", 200, "web"),
    ],
    "aws-load-balancer-controller": [
        (f"{META}/mac", 200, MAC),
        (f"{META}/network/interfaces/macs/{MAC}/vpc-id", 200, "vpc-1"),
    ],
    "aws-node-termination-handler": [
        ("/latest/dynamic/instance-identity/document", 200, '{"instanceType": "m7g.large"}'),
        (f"{META}/spot/instance-action", 404, ""),
        (f"{META}/events/maintenance/scheduled", 200, "[]"),
    ],
    "datadog-agent": [
        (f"{META}/instance-id", 200, "i-0123456789abcdef0"),
        (f"{META}/network/interfaces/macs", 200, f"{MAC}/"),
        (f"{META}/network/interfaces/macs/{MAC}/vpc-id", 200, "vpc-1"),
    ],
    "ebs-csi-driver": [(f"{META}/network/interfaces/macs", 200, f"{MAC}/")],
    "cloud-init": [
        ("/2009-04-04/meta-data/instance-id", 200, "i-0123456789abcdef0"),
        ("/2021-03-23/meta-data/tags/instance/", 200, "Name"),
        ("/2009-04-04/user-data", 404, ""),
    ],
    "ohai": [("/", 200, None), ("/2014-02-25/meta-data/network/interfaces/macs/", 200, f"{MAC}/")],
    "ec2-metadata": [("/latest/meta-data/tags/instance/", 200, "Name"), ("/latest/user-data", 404, "")],
}
"""What these programs request, after their source, and what they need for an answer."""


def test_agents_find_what_the_operator_lists(tmp_path: Path) -> None:
    with serving(NodeService) as service:
        service.script.pages = PAGES
        with passing_sidecar(tmp_path, service.url, PODROLE_METADATA_PASSTHROUGH_PATHS=PATHS) as sidecar:
            token = sidecar.request("/latest/api/token", "PUT", X_aws_ec2_metadata_token_ttl_seconds="900").body
            for agent, requests in AGENTS.items():
                assert sidecar.request("/", X_aws_ec2_metadata_token="INVALID").status == 401
                for path, status, body in requests:
                    reply = sidecar.request(path, X_aws_ec2_metadata_token=token)
                    assert (agent, path, reply.status, reply.body if body is not None else None) == (
                        agent,
                        path,
                        status,
                        body,
                    )
            assert {sidecar.request(path).status for path in (f"{META}/iam/info", f"{META}/iam/")} == {404, 200}
        assert not any("iam" in request.path or "user-data" in request.path for request in service.script.requests)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"
TOKEN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nt0ken"


def answer_slowly(connection: Connection, token_seconds: float, fast: bytes, slow: bytes) -> None:
    """Send a token after some time, and a document whose second part comes with one byte a second."""
    if connection.read_request().startswith(b"PUT"):
        connection.stopped.wait(token_seconds)
        connection.send(TOKEN)
    else:
        connection.send(fast)
        connection.drip(slow, 1)


@contextmanager
def passing_sidecar(directory: Path, endpoint: str, **more: str) -> Iterator[Sidecar]:
    (directory / "token").write_text("to.ke.n")
    changes = {"PODROLE_METADATA_PASSTHROUGH": "true", "PODROLE_NODE_METADATA_ENDPOINT": endpoint} | more
    with running_sidecar(build_environ(directory, "http://127.0.0.1:1", **changes), directory) as sidecar:
        sidecar.wait_for_log('"refresh-failed"', 30)
        yield sidecar


@pytest.mark.parametrize(
    ("fast", "slow"),
    [
        pytest.param(b"", HEAD, id="status-line"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"Content-Length: 9\r\n\r\n", id="headers"),
        pytest.param(HEAD + b"\r\n", b"123456789", id="body"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"00000009\r\n123456789\r\n", id="chunk"
        ),
    ],
)
def test_node_that_sends_a_byte_a_second_is_given_up_in_time(tmp_path: Path, fast: bytes, slow: bytes) -> None:
    def respond(connection: Connection) -> None:
        answer_slowly(connection, 0, fast, slow)

    with raw_server(respond, reads_first=False) as node, passing_sidecar(tmp_path, node.url()) as sidecar:
        began = time.monotonic()
        status = sidecar.request(ID).status
        seconds = time.monotonic() - began

    assert status == 404
    assert NODE_METADATA_SECONDS <= seconds < NODE_METADATA_SECONDS + 3


def test_both_answers_of_the_node_share_one_deadline(tmp_path: Path) -> None:
    def respond(connection: Connection) -> None:
        answer_slowly(connection, 1.9, HEAD, b"\r\n123456789")

    with raw_server(respond, reads_first=False) as node, passing_sidecar(tmp_path, node.url()) as sidecar:
        began = time.monotonic()
        status = sidecar.request(ID).status
        seconds = time.monotonic() - began

    assert status == 404
    assert NODE_METADATA_SECONDS <= seconds < NODE_METADATA_SECONDS + 1.8


SEGMENTS = st.sampled_from(
    [
        *("latest", "meta-data", "iam", "info", "security-credentials", "node", "user-data", "placement", "region"),
        *("instance-id", "dynamic", "instance-identity", "document", "..", ".", "", "%2e%2e", "%2E.", "..;", "%2f"),
        *(
            "%5c",
            "\\",
            "%00",
            "%252e%252e",
            "2021-03-23",
            "1.0",
            "hostname",
            "services",
            "mac",
            "?",
            "#",
            ";",
            "%0d%0a",
        ),
        *(
            "\u00e9",
            "%0d%0a",
            "%c0%af",
            "api",
            "token",
            "iam%2finfo",
            "..%2fiam",
            "http:",
            "169.254.169.254",
            "@",
            " ",
            "\t",
        ),
    ]
)


TARGETS = st.one_of(
    st.lists(SEGMENTS, max_size=9).map(lambda segments: "/" + "/".join(segments)),
    st.tuples(st.sampled_from(sorted(ALLOWED)), st.lists(SEGMENTS, max_size=5)).map(
        lambda parts: parts[0] + "/" + "/".join(parts[1])
    ),
    st.tuples(st.lists(SEGMENTS, max_size=3), st.sampled_from(sorted(ALLOWED))).map(
        lambda parts: "/" + "/".join(parts[0]) + parts[1]
    ),
    st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=60).map(lambda text: f"/{text}"),
)


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[tuple[NodeService, Handler]]:
    with serving(NodeService) as service:
        state = EndpointState(build_config(service.url), lambda: State(refresh_at=0), b"key", "boot")
        yield service, create_handler(state)


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(target=TARGETS, method=st.sampled_from(["GET", "HEAD", "PUT", "POST"]))
def test_random_targets_never_reach_the_node_outside_of_the_list(
    fuzzed: tuple[NodeService, Handler], target: str, method: str
) -> None:
    service, handler = fuzzed
    passthrough_before = len(service.script.requests)

    reply = call(handler, target, method=method)

    requested = {request.path for request in service.script.requests[passthrough_before:]}
    assert requested <= ALLOWED | {"/latest/api/token"}
    assert SECRET.encode() not in reply.body
    assert reply.status in {200, 400, 401, 403, 404, 405, 503}


def test_fuzzed_app_passes_on_allowed_paths(fuzzed: tuple[NodeService, Handler]) -> None:
    _, handler = fuzzed

    for target in ("//latest///meta-data/%69nstance-id/", "/2021-03-23/meta-data/mac"):
        reply = call(handler, target)

        assert (reply.status, reply.body) == (200, b"from the node")
