"""Thousands of mutated client requests against running sidecars: credentials only for allowed requests, no crash."""

import json
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, example, given, settings

from testing.raw_http import ask, build_request
from testing.sidecars import CREDENTIALS_PATH, Sidecar, build_environ, running_sidecar
from tests.integration.sidecar.access_oracle import TokenPolicy, count_allowed
from tests.integration.sidecar.wire_requests import ROLES, TTL, VALID_TOKEN, wire_requests

EXPECTED_STATUSES = {100, 200, 400, 401, 403, 404, 405, 413, 414, 417, 431, 501, 505}
"""Of a sidecar that has credentials. 501: an unknown transfer coding. 505: another HTTP version."""

STATUS_LINE = re.compile(rb"(?:^|\r\n\r\n|[^\r\n])HTTP/1\.1 (\d{3}) ")

CLOSE_SECONDS = 20
"""The server closes every connection within this time. Its own timeouts are 5 s; the machine may be busy."""

FUZZ_SECONDS = 30


@dataclass
class Target:
    """A running sidecar, its token and its credentials."""

    sidecar: Sidecar
    policy: TokenPolicy
    secrets: list[bytes]
    log_offset: int = 0
    """Up to where its log was checked."""

    statuses: Counter[int] = field(default_factory=Counter)

    def read_new_log(self) -> str:
        """Return what was logged since the last call."""
        log = self.sidecar.log
        new, self.log_offset = log[self.log_offset :], len(log)
        return new


def open_target(sidecar: Sidecar, *, requires_token: bool) -> Target:
    token = ask(sidecar.port, build_request("/latest/api/token", "PUT", [(TTL, "21600")])).body
    document = json.loads(ask(sidecar.port, build_request(CREDENTIALS_PATH)).body)
    secrets = [document[key].encode() for key in ("AccessKeyId", "SecretAccessKey", "Token")]
    return Target(sidecar, TokenPolicy(token, requires_token), secrets, log_offset=len(sidecar.log))


@pytest.fixture(scope="module")
def targets(sidecar: Sidecar, sts: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Target]]:
    """Two sidecars of the same role: the second requires a token for metadata paths."""
    directory = tmp_path_factory.mktemp("fuzz")
    (directory / "token").write_text("to.ke.n")
    with running_sidecar(build_environ(directory, sts, PODROLE_IMDS_TOKENS="required"), directory) as strict:
        assert strict.wait_until_started() == 0, strict.log
        yield [open_target(sidecar, requires_token=False), open_target(strict, requires_token=True)]


def exchange(port: int, sent: bytes) -> bytes:
    """Send everything, close the sending side, and read until the server closes; a reset counts as a close."""
    with socket.create_connection(("127.0.0.1", port), CLOSE_SECONDS) as connection:
        received = b""
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65536):
                received += data
        except (ConnectionResetError, BrokenPipeError):
            pass
        return received


def check_exchange(target: Target, request: bytes) -> None:
    """Send a request and check its responses and the log."""
    sent = request.replace(VALID_TOKEN, target.policy.valid_token)

    received = exchange(target.sidecar.port, sent)

    statuses = [int(status) for status in STATUS_LINE.findall(received)]
    target.statuses.update(statuses)
    assert set(statuses) <= EXPECTED_STATUSES, received
    assert max(received.count(secret) for secret in target.secrets) <= count_allowed(sent, target.policy), received
    log = target.read_new_log()
    assert "Traceback" not in log, log
    assert not [secret for secret in target.secrets if secret.decode() in log]


def test_random_requests_never_leak_credentials_or_crash_the_server(targets: list[Target]) -> None:
    deadline = time.monotonic() + FUZZ_SECONDS

    @settings(
        max_examples=10_000,  # about as many as fit into the time
        derandomize=bool(os.environ.get("CI")),
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(wire_requests())
    @example(build_request(f"{ROLES}/reader", headers=[("SCRIPT_NAME", "/v2")]))
    @example(build_request(f"{ROLES}/reader", headers=[("SCRIPT_NAME", "/v2")], host="127.0.0.1"))
    @example(build_request(CREDENTIALS_PATH, host="[169.254.169.254"))
    @example(build_request(f"{ROLES}/reader%"))
    def check(request: bytes) -> None:
        if time.monotonic() < deadline:  # a busy machine runs fewer examples
            for target in targets:
                check_exchange(target, request)

    check()

    statuses = sum((target.statuses for target in targets), Counter[int]())
    assert statuses.total() > 200, "too slow to show anything"
    assert statuses[200] > statuses.total() / 10, statuses
