"""The node's role: what its metadata service can return instead of credentials."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sidecar.credentials.schedule import Failure
from sidecar.sts.client import AccessKeys
from sidecar.sts.node_keys import ROLES_PATH, TOKEN_PATH, fetch_node_keys
from testing.raw_server import Connection, raw_server
from testing.services.imds import MetadataServer, NodeRole
from testing.serving import serving

DOCUMENT = {
    "Code": "Success",
    "AccessKeyId": "ASIANODE",
    "SecretAccessKey": "very/secret",
    "Token": "session+token",
    "Expiration": "2026-11-29T22:56:40Z",
}
KEYS = AccessKeys("the node's role node-role", "ASIANODE", "very/secret", "session+token")
MISSING = object()


@contextmanager
def serving_node(document: str, name: str = "node-role") -> Iterator[str]:
    with serving(lambda: MetadataServer("127.0.0.1:0", NodeRole(name, document))) as node:
        yield f"http://{node.endpoint}"


def change(**fields: object) -> str:
    return json.dumps({name: value for name, value in (DOCUMENT | fields).items() if value is not MISSING})


@pytest.mark.parametrize(
    ("document", "named"),
    [
        pytest.param("", "is not JSON", id="empty"),
        pytest.param("<html>", "is not JSON", id="html"),
        pytest.param("[" * 60_000, "is not JSON", id="deep"),
        pytest.param("[]", "is not an object", id="list"),
        pytest.param("null", "is not an object", id="null"),
        pytest.param("{}", "AccessKeyId is missing or malformed", id="empty-object"),
        pytest.param('{"Code": "AssumeRoleUnauthorizedAccess"}', "AccessKeyId", id="code-of-an-error"),
        *(
            pytest.param(change(**{name: value}), f"{name} is missing or malformed", id=f"{name}-{kind}")
            for name in ("AccessKeyId", "SecretAccessKey", "Token")
            for kind, value in {
                "missing": MISSING,
                "null": None,
                "empty": "",
                "number": 7,
                "nested": {"a": "b"},
                "with-a-line-break": "a\r\nHost: b",
                "with-other-letters": "\u00e4",
                "huge": "a" * 20_000,
            }.items()
        ),
    ],
)
def test_malformed_document_names_the_field_and_quotes_no_value(document: str, named: str) -> None:
    with serving_node(document) as endpoint:
        outcome = fetch_node_keys(endpoint)

    assert isinstance(outcome, Failure)
    assert (outcome.code, outcome.is_permanent) == ("NodeCredentialsMissing", False)
    assert named in outcome.message
    assert "very/secret" not in outcome.message


@pytest.mark.parametrize("name", ["", "a b", "a/b", "../user-data", "a\r\nb", "r" * 65, "\u00e4"])
def test_malformed_role_name_is_not_requested(name: str) -> None:
    with serving_node(change(), name) as endpoint:
        outcome = fetch_node_keys(endpoint)

    assert isinstance(outcome, Failure)
    assert "the name of its role is malformed" in outcome.message


@pytest.mark.parametrize(
    "expiration",
    ["1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "tomorrow", "", 7, None, MISSING],
    ids=["past", "future", "words", "empty", "number", "null", "missing"],
)
def test_expiration_of_the_nodes_keys_does_not_matter(expiration: object) -> None:
    """They are used at once, and once. STS rejects expired ones."""
    with serving_node(change(Expiration=expiration)) as endpoint:
        assert fetch_node_keys(endpoint) == KEYS


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        pytest.param(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", f"PUT {TOKEN_PATH}: status 403", id="403"),
        pytest.param(
            b"HTTP/1.1 302 No\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            "status 302",
            id="redirect",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "its token is malformed", id="empty-token"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na\nb", "its token is malformed", id="two-lines"),
        pytest.param(b"SSH-2.0\r\n", f"PUT {TOKEN_PATH}: not a valid HTTP response", id="not-http"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 500000000\r\n\r\n", "truncated", id="truncated"),
    ],
)
def test_other_response_to_the_first_request_is_named(response: bytes, reason: str) -> None:
    with raw_server(response) as server:
        outcome = fetch_node_keys(server.url())

    assert isinstance(outcome, Failure)
    assert reason in outcome.message
    assert len(server.requests) == 1


def test_endless_response_is_cut() -> None:
    def respond(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
        connection.flood(b"x" * 65_536)

    with raw_server(respond) as server:
        outcome = fetch_node_keys(server.url())

    assert isinstance(outcome, Failure)
    assert "larger than 65536 bytes" in outcome.message


def test_role_is_requested_by_its_name() -> None:
    with serving_node(change(), "a+b=c,d.e@f_g-h") as endpoint:
        outcome = fetch_node_keys(endpoint)

    assert isinstance(outcome, AccessKeys)
    assert outcome.owner == "the node's role a+b=c,d.e@f_g-h"
    assert ROLES_PATH.endswith("/")
