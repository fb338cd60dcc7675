"""A request hidden in another one's body, behind a forwarding header: it must never be answered with credentials."""

import json
from collections.abc import Iterator

import pytest

from testing.raw_http import Wire, build_request
from testing.sidecars import CREDENTIALS_PATH
from tests.integration.server.targets import Target, running_passthrough_sidecar
from tests.unit.server.framing import build_attacks, build_closing

FORWARDED = b"Host: 169.254.170.2\r\nX-Forwarded-For: 203.0.113.9\r\n"
INNER = build_request(CREDENTIALS_PATH, host="169.254.170.2")
ATTACKS = build_attacks(INNER, FORWARDED) | build_closing(INNER, FORWARDED)


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with running_passthrough_sidecar(tmp_path_factory.mktemp("sidecar")) as running:
        yield running


@pytest.mark.parametrize("name", ATTACKS)
def test_hidden_request_gets_no_credentials(sidecar: Target, name: str) -> None:
    before = len(sidecar.log)
    secret = json.loads(sidecar.ask().body)["SecretAccessKey"].encode()

    with sidecar.connect() as connection:
        connection.sendall(ATTACKS[name])
        connection.settimeout(8)
        answer = Wire(connection).read_rest()

    assert secret not in answer
    assert answer.count(b"HTTP/1.1 ") <= 1, answer
    assert "Traceback" not in sidecar.log[before:]
