"""Requests of real clients, spoilt in thousands of ways, against running sidecars: no secret without its checks."""

import json
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import HealthCheck, example, given, settings

from testing.raw_http import ask, build_request
from testing.sidecars import Sidecar, build_environ, running_sidecar
from tests.integration.sidecar.wire_requests import ROLES, TTL, VALID_TOKEN, wire_requests

MEANT = {200, 400, 401, 403, 404, 405, 413, 414, 417, 431, 501, 505}
"""A server that has credentials has no other answer. 501: a transfer coding nobody knows. 505: another HTTP."""

END_SECONDS = 20
"""By then every connection has been closed by the server. Its own bounds are 5 s; the machine may be busy."""

FUZZ_SECONDS = 30
HEAD = re.compile(
    rb"(?P<method>[A-Z]+) (?P<target>[^ \r\n]+) HTTP/1\.[0-9]\r\n(?P<headers>(?:[^\r\n:]+:[^\r\n]*\r\n)*)\r\n"
)
HOST = re.compile(
    rb"(?:169\.254\.169\.254|169\.254\.170\.2|169\.254\.170\.23|127\.0\.0\.1|localhost"
    rb"|\[?fd00:ec2::254\]?|\[?fd00:ec2::23\]?|\[?::1\]?)(?::[0-9]{1,5})?",
    re.IGNORECASE,
)
DOCUMENT = re.compile(rb"/+(?:latest|1\.0|\d{4}-\d\d-\d\d)/+meta-data/+iam/+security-credentials/+reader/*")
CONTAINER = re.compile(rb"/+v[12]/+credentials/*")
STRANGERS = {b"x-forwarded-for", b"forwarded", b"via", b"origin", b"referer", b"sec-fetch-site"}


@dataclass
class Target:
    """One sidecar, and what is known about it."""

    sidecar: Sidecar
    needs_token: bool
    token: bytes
    secrets: list[bytes]
    read: int = 0
    """How much of its log has been looked at."""

    statuses: Counter[int] = field(default_factory=Counter)

    def look_into_log(self) -> str:
        """What it wrote since the last look."""
        log = self.sidecar.log
        written, self.read = log[self.read :], len(log)
        return written


def open_target(sidecar: Sidecar, *, needs_token: bool) -> Target:
    token = ask(sidecar.port, build_request("/latest/api/token", "PUT", [(TTL, "21600")])).body
    document = json.loads(ask(sidecar.port, build_request("/v2/credentials")).body)
    secrets = [document[key].encode() for key in ("AccessKeyId", "SecretAccessKey", "Token")]
    return Target(sidecar, needs_token, token, secrets, read=len(sidecar.log))


@pytest.fixture(scope="module")
def targets(sidecar: Sidecar, sts: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Target]]:
    """Two sidecars of the same role: the second answers no metadata request without a token."""
    directory = tmp_path_factory.mktemp("fuzz")
    (directory / "token").write_text("to.ke.n")
    with running_sidecar(build_environ(directory, sts, PODROLE_IMDS_TOKENS="required"), directory) as strict:
        assert strict.wait_until_started() == 0, strict.log
        yield [open_target(sidecar, needs_token=False), open_target(strict, needs_token=True)]


def may_hold_a_secret(head: re.Match[bytes], target: Target) -> bool:
    """Whether the answer to this request may be a credential document, read as strictly as the contract is written."""
    headers = [line.split(b":", 1) for line in head["headers"].split(b"\r\n") if line]
    named = [(name.lower(), value.strip(b" \t")) for name, value in headers]
    absolute = re.fullmatch(rb"https?://([^/?#]+)(/.*)", head["target"], re.IGNORECASE)
    host_in_uri, path = absolute.groups() if absolute else (None, head["target"])
    hosts = [value for name, value in named if name == b"host"]
    tokens = [value for name, value in named if name == b"x-aws-ec2-metadata-token"]
    decoded = unquote_to_bytes(path.split(b"?", 1)[0])
    is_document = DOCUMENT.fullmatch(decoded) is not None
    return (
        head["method"] == b"GET"
        and len(hosts) <= 1
        and all(HOST.fullmatch(host) for host in [*hosts, *([host_in_uri] if host_in_uri else [])])
        and not STRANGERS & {name for name, _ in named}
        and (is_document or CONTAINER.fullmatch(decoded) is not None)
        and not re.search(rb"%(2f|5c|25)|\\", path, re.IGNORECASE)
        and (not is_document or tokens == [target.token] or (not tokens and not target.needs_token))
    )


def count_permitted(sent: bytes, target: Target) -> int:
    """How many answers may hold a secret: the requests in `sent`, wherever in it they begin."""
    starts = [0, *(match.end() for match in re.finditer(rb"\r\n", sent))]
    heads = [head for start in starts if (head := HEAD.match(sent, start))]
    return sum(may_hold_a_secret(head, target) for head in heads)


def exchange(port: int, sent: bytes) -> bytes:
    """Send everything and an end, and read until the server closes; a reset counts as a close."""
    with socket.create_connection(("127.0.0.1", port), END_SECONDS) as connection:
        received = b""
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                received += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
        return received


def test_random_requests_never_leak_credentials_or_crash_the_server(targets: list[Target]) -> None:
    check_examples = settings(
        max_examples=10_000,  # about what fits into the time
        derandomize=bool(os.environ.get("CI")),
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    until = time.monotonic() + FUZZ_SECONDS

    @check_examples
    @given(wire_requests())
    @example(build_request(f"{ROLES}/reader", headers=[("SCRIPT_NAME", "/v2")]))
    @example(build_request(f"{ROLES}/reader", headers=[("SCRIPT_NAME", "/v2")], host="127.0.0.1"))
    @example(build_request("/v2/credentials", host="[169.254.169.254"))
    @example(build_request(f"{ROLES}/reader%"))
    def check(raw: bytes) -> None:
        if time.monotonic() > until:  # a busy machine: what was looked at so far must do
            return
        for target in targets:
            sent = raw.replace(VALID_TOKEN, target.token)

            received = exchange(target.sidecar.port, sent)

            found = [int(status) for status in re.findall(rb"(?:^|\r\n\r\n|[^\r\n])HTTP/1\.1 (\d{3}) ", received)]
            target.statuses.update(found)
            assert set(found) <= {*MEANT, 100}, received
            leaked = max(received.count(secret) for secret in target.secrets)
            assert leaked <= count_permitted(sent, target), received
            written = target.look_into_log()
            assert "Traceback" not in written, written
            assert not [secret for secret in target.secrets if secret.decode() in written]

    check()

    statuses = sum((target.statuses for target in targets), Counter[int]())
    assert statuses.total() > 200, "too slow to show anything"
    assert statuses[200] > statuses.total() / 10, statuses
