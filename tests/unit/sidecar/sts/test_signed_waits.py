"""How long signed calls and the request for the node's keys wait for a server that does not answer."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ReadTimeoutError

from sidecar.config import Config
from sidecar.credentials.schedule import Failure
from sidecar.deadlines import SIGNED_CONNECT_SECONDS, SIGNED_READ_SECONDS
from sidecar.sts import client
from sidecar.sts.chain import load_node_keys
from sidecar.sts.client import NODE_ATTEMPTS, AccessKeys, Sts
from testing.sidecars import ROLE_ARN, build_environ

KEYS = AccessKeys("the node's role", "ASIANODE", "secret", "token")


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a server that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def build_config(tmp_path: Path, url: str) -> Config:
    return Config.from_environ(build_environ(tmp_path, url, PODROLE_NODE_METADATA_ENDPOINT=url))


def test_signed_call_to_a_silent_server_is_a_read_timeout_without_a_retry(
    silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "SIGNED_READ_SECONDS", 0.1)

    with pytest.raises(ReadTimeoutError):
        Sts(build_config(tmp_path, silent)).assume({"RoleArn": ROLE_ARN, "RoleSessionName": "web"}, KEYS)


def test_signed_call_has_both_timeouts(silent: str, tmp_path: Path) -> None:
    config = Sts(build_config(tmp_path, silent)).build_client(KEYS).meta.config

    assert (config.connect_timeout, config.read_timeout) == (SIGNED_CONNECT_SECONDS, SIGNED_READ_SECONDS)


def test_node_that_does_not_answer_is_a_failure_after_few_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "NODE_KEYS_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        outcome = load_node_keys(build_config(tmp_path, url))

        assert isinstance(outcome, Failure)
        assert outcome.code == "NodeCredentialsMissing"
        assert 1 <= count_clients(listener) <= NODE_ATTEMPTS


def count_clients(listener: socket.socket) -> int:
    """How many connections wait to be accepted."""
    number = 0
    while True:
        try:
            listener.accept()[0].close()
        except TimeoutError:
            return number
        number += 1
