"""Recognises the node agent that answers in place of the node's metadata service: kube2iam or Kiam.

Each has a path of its own beside those that it intercepts; the metadata service answers them with 404, or with 401.
https://github.com/jtblin/kube2iam/blob/master/server/server.go
https://github.com/uswitch/kiam/blob/master/pkg/aws/metadata/server.go
"""

from collections.abc import Sequence

from sidecar.deadlines import MEASUREMENT_SECONDS
from sidecar.reachability.connections import Attempt, Outcome, try_all
from sidecar.sockets import parse_reply

ADDRESS = "169.254.169.254"
"""The only one that they intercept."""

SIGNS = {"kube2iam": ("/healthz", b'"hostIP"'), "Kiam": ("/ping", b"pong")}
"""By agent: the path, and what its answer contains."""

MAX_RECEIVED_BYTES = 1024
OK = 200


def find_node_agent(timeout_seconds: float = MEASUREMENT_SECONDS) -> str | None:
    """Name the agent; None where there is none, or where it does not answer. Raise OSError without free sockets."""
    requests = [f"GET {path} HTTP/1.1\r\nHost: {ADDRESS}\r\nConnection: close\r\n\r\n" for path, _ in SIGNS.values()]
    attempts = [Attempt(ADDRESS, 80, request.encode("ascii")) for request in requests]
    return recognise(try_all(attempts, timeout_seconds, MAX_RECEIVED_BYTES))


def recognise(outcomes: Sequence[Outcome]) -> str | None:
    """Name the agent by the outcomes of the requests for its signs."""
    for (agent, (_, sign)), outcome in zip(SIGNS.items(), outcomes, strict=True):
        try:
            reply = parse_reply(outcome.received)
        except ValueError:
            continue
        if reply.status == OK and sign in reply.body:
            return agent
    return None
