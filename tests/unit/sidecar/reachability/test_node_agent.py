"""Which node agent answers in place of the node's metadata service."""

import pytest

from sidecar.reachability.connections import CONNECTED, REFUSED, TIMED_OUT, Outcome
from sidecar.reachability.node_agent import recognise


def respond(status: int, body: str = "") -> Outcome:
    return Outcome(CONNECTED, f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


HEALTH = '{"hostIP":"10.0.0.1","instanceId":"i-0123456789abcdef0"}'
NOT_FOUND = respond(404, "404 - Not Found")


@pytest.mark.parametrize(
    ("health", "ping", "agent"),
    [
        pytest.param(respond(200, HEALTH), NOT_FOUND, "kube2iam", id="kube2iam"),
        pytest.param(NOT_FOUND, respond(200, "pong"), "Kiam", id="kiam"),
        pytest.param(NOT_FOUND, NOT_FOUND, None, id="metadata-service"),
        pytest.param(respond(401), respond(401), None, id="metadata-service-that-requires-tokens"),
        pytest.param(respond(200, "<html>"), respond(200, "<html>"), None, id="page-of-a-proxy"),
        pytest.param(respond(200, "ok"), respond(200, "ok"), None, id="another-program"),
        pytest.param(respond(500, HEALTH), respond(500, "pong"), None, id="errors"),
        pytest.param(Outcome(REFUSED), Outcome(TIMED_OUT), None, id="no-answer"),
        pytest.param(Outcome(CONNECTED, b"pong"), Outcome(CONNECTED, b"\x00pong"), None, id="not-http"),
    ],
)
def test_agent_is_recognised_by_its_own_path(health: Outcome, ping: Outcome, agent: str | None) -> None:
    assert recognise([health, ping]) == agent
