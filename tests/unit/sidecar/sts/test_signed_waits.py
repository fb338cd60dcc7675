"""How long signed calls and the request for the node's keys wait for a server that does not answer."""

import socket
from pathlib import Path

import pytest

from sidecar.config import Config
from sidecar.credentials.schedule import Failure
from sidecar.deadlines import NODE_KEYS_SECONDS, STS_CONNECT_SECONDS, STS_REQUEST_SECONDS
from sidecar.http_client.client import Limits
from sidecar.sts import node_keys, web_identity
from sidecar.sts.chain import ChainedRole, assume_with_keys
from sidecar.sts.client import AccessKeys, Sts
from sidecar.sts.node_keys import fetch_node_keys
from testing.sidecars import ROLE_ARN, build_environ

KEYS = AccessKeys("the node's role", "ASIANODE", "secret", "token")


def build_config(tmp_path: Path, url: str) -> Config:
    return Config.from_environ(build_environ(tmp_path, url, PODROLE_NODE_METADATA_ENDPOINT=url))


def test_signed_call_to_a_silent_server_is_a_read_timeout_without_a_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_identity, "LIMITS", web_identity.LIMITS._replace(total_seconds=0.1))
    role = ChainedRole(ROLE_ARN, {"RoleArn": ROLE_ARN, "RoleSessionName": "web", "DurationSeconds": 900}, "")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        config = build_config(tmp_path, f"http://127.0.0.1:{listener.getsockname()[1]}")

        outcome = assume_with_keys(Sts(config), config, role, KEYS)

        assert isinstance(outcome, Failure)
        assert outcome.code == "ReadTimeoutError"
        assert count_clients(listener) == 1


def test_signed_call_has_the_limits_of_every_call_to_sts() -> None:
    limits = web_identity.LIMITS

    assert limits == Limits(STS_REQUEST_SECONDS, STS_CONNECT_SECONDS, max_body_bytes=64 * 1024)
    assert node_keys.LIMITS.total_seconds == NODE_KEYS_SECONDS


def test_node_that_does_not_answer_is_a_failure_after_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_keys, "LIMITS", node_keys.LIMITS._replace(total_seconds=0.1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)

        outcome = fetch_node_keys(f"http://127.0.0.1:{listener.getsockname()[1]}")

        assert isinstance(outcome, Failure)
        assert outcome.code == "NodeCredentialsMissing"
        assert count_clients(listener) == 1


def count_clients(listener: socket.socket) -> int:
    """How many connections wait to be accepted."""
    number = 0
    while True:
        try:
            listener.accept()[0].close()
        except TimeoutError:
            return number
        number += 1
