"""A name with several addresses that do not answer; tests/unit/server/test_first_connection.py has all other cases."""

import socket
import time

import pytest

from sidecar.http_client.connect import connect
from sidecar.http_client.stream import Deadline
from sidecar.http_client.url import parse_url
from tests.unit.server.addresses import dead_addresses


@pytest.mark.parametrize(
    ("deadline_seconds", "timeout_seconds"),
    [pytest.param(10, 0.5, id="timeout"), pytest.param(0.5, 10, id="deadline")],
)
def test_all_addresses_together_have_one_timeout(
    deadline_seconds: float, timeout_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dead_addresses(8) as dead:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: dead)
        began = time.monotonic()

        with pytest.raises(TimeoutError):
            connect(parse_url("http://sts.example"), Deadline(deadline_seconds), timeout_seconds)

    assert 0.5 <= time.monotonic() - began < 3.5
