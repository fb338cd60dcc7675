"""Metadata pass-through: random request targets, and a running sidecar."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.messages import Handler
from sidecar.credentials.schedule import State
from sidecar.endpoints.handler import create_handler
from sidecar.endpoints.state import EndpointState
from testing.handlers import call
from testing.serving import serving
from testing.sidecars import build_environ, running_sidecar
from tests.unit.sidecar.endpoints.test_node_metadata import ALLOWED, ID, SECRET, NodeService, build_config


def test_running_sidecar_passes_on_allowed_paths_only(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("to.ke.n")
    with serving(NodeService) as service:
        changes = {"PODROLE_METADATA_PASSTHROUGH": "true", "PODROLE_NODE_METADATA_ENDPOINT": service.url}
        environ = build_environ(tmp_path, "http://127.0.0.1:1", **changes)
        with running_sidecar(environ, tmp_path) as sidecar:
            sidecar.wait_for_log('"refresh-failed"', 30)

            replies = [sidecar.request(path) for path in (ID, ID, "/latest/user-data", "/latest/meta-data/iam/info")]

            assert [(reply.status, reply.body) for reply in replies] == [
                *[(200, "from the node")] * 2,
                *[(404, "")] * 2,
            ]
        assert [request.path for request in service.script.requests] == ["/latest/api/token", ID]
        assert not re.search("Traceback", sidecar.log)


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
