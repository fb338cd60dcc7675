"""Answers of STS that are too large, in a container with the sidecar's memory limit, while clients are served."""

import gzip
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sidecar.sts.__main__ import OUT_OF_MEMORY
from sidecar.sts.limits import LIMITS, MAX_MEMORY_BYTES
from sidecar.sts.outcome import parse_outcome
from testing.memory_cgroup import MemoryCgroup, NoCgroupError, memory_cgroup
from testing.raw_server import Connection, RawServer, raw_server
from testing.repository import ROOT
from testing.services.faulty_sts import GRANTED, HANGING, FaultySts, build_grant
from testing.sidecars import CREDENTIALS_PATH, ROLE_ARN, build_environ, running_sidecar
from tests.integration.sidecar.sts_answers.answer import build_response
from tests.unit.injector.k8s.watched_cluster import wait_until

MIB = 1024 * 1024
LIMIT_BYTES = 96 * MIB
"""Of the injected container."""

CHAINED = {"PODROLE_INTERMEDIATE_ROLE": "arn:aws:iam::999988887777:role/hub"}
PIECE = b"x" * 65_536
BOMB = gzip.compress(bytes(50 * MIB))


class Large(NamedTuple):
    """A response: its start, and what follows again and again."""

    start: bytes
    endless: bytes = b""


LARGE = {
    "500-mb": Large(b"HTTP/1.1 200 OK\r\nContent-Length: 500000000\r\n\r\n", PIECE),
    "500-mb-of-an-error": Large(b"HTTP/1.1 403 No\r\nContent-Length: 500000000\r\n\r\n", PIECE),
    "chunks": Large(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + PIECE + b"\r\n"),
    "headers": Large(b"HTTP/1.1 200 OK\r\n", b"Name: value\r\n" * 5000),
    "interim-responses": Large(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3000),
    "redirects": Large(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"),
    "gzip-bomb": Large(build_response(200, BOMB, "Content-Encoding: gzip")),
}


@pytest.fixture
def cgroup() -> Iterator[MemoryCgroup]:
    try:
        with memory_cgroup(LIMIT_BYTES) as created:
            yield created
    except NoCgroupError as error:
        pytest.skip(str(error))


@contextmanager
def serving_sts(action: str, large: Large) -> Iterator[RawServer]:
    """Grant what is asked first; answer every further request for this action with too much."""
    granted: set[str] = set()

    def respond(connection: Connection) -> None:
        asked = "AssumeRoleWithWebIdentity" if b"=AssumeRoleWithWebIdentity" in server.requests[-1] else "AssumeRole"
        if asked == action and asked in granted:
            connection.send(large.start)
            if large.endless:
                connection.flood(large.endless)
            return
        granted.add(asked)
        body = build_grant({"Action": asked, "RoleArn": ROLE_ARN}, GRANTED, len(server.requests))
        connection.send(build_response(200, body))

    with raw_server(respond) as server:
        yield server


def read_saved(directory: Path) -> Any:
    return json.loads((directory / "run" / "state.json").read_text())


def make_refresh_due(directory: Path) -> None:
    """Let half of the saved credentials' lifetime be over."""
    saved = read_saved(directory)
    for name in ("obtained_at", "expires_at"):
        saved["credentials"][name] -= 2000
    (directory / "run" / "state.json").write_text(json.dumps(saved))


@pytest.mark.parametrize("kind", LARGE)
@pytest.mark.parametrize("changes", [{}, CHAINED], ids=["web-identity", "chain"])
def test_large_answer_is_a_failure_while_clients_are_served(
    cgroup: MemoryCgroup, tmp_path: Path, changes: dict[str, str], kind: str
) -> None:
    (tmp_path / "token").write_text("to.ke.n")
    action = "AssumeRole" if changes else "AssumeRoleWithWebIdentity"
    with serving_sts(action, LARGE[kind]) as sts:
        environ = build_environ(tmp_path, sts.url(), **changes)
        with running_sidecar(environ, tmp_path) as sidecar:
            assert sidecar.wait_until_started() == 0
            wait_until("credentials are saved", lambda: read_saved(tmp_path)["credentials"])  # the start waits 10 s
        make_refresh_due(tmp_path)

        statuses = []
        with running_sidecar(environ, tmp_path, enter=cgroup.enter) as sidecar:
            assert sidecar.wait_until_started() == 0
            deadline = time.monotonic() + 40
            while '"refresh-failed"' not in sidecar.log and time.monotonic() < deadline:
                statuses.append(sidecar.request(CREDENTIALS_PATH).status)
            failure = json.loads(sidecar.request("/podrole/status").body)["last_failure"]
            log = sidecar.log

    assert set(statuses) == {200}
    assert failure["code"] == "InvalidResponse"
    assert "Traceback" not in log
    assert cgroup.oom_kills == 0
    assert cgroup.peak_bytes < LIMIT_BYTES


@pytest.mark.parametrize("how", ["spawn", "fork"])
def test_child_process_has_the_limits(faulty_sts: FaultySts, tmp_path: Path, how: str) -> None:
    (tmp_path / "token").write_text("to.ke.n")
    faulty_sts.will(afterwards=HANGING)
    program = f"""
import os, time
from sidecar.sts import process
child = process.{how}(os.environ)
print(child.pid, flush=True)
time.sleep(60)
"""
    environ = build_environ(tmp_path, faulty_sts.url)
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE) as parent:
        try:
            assert parent.stdout
            pid = int(parent.stdout.readline())
            faulty_sts.await_requests(1)
            limits = {kind: resource.prlimit(pid, kind) for kind in LIMITS}
        finally:
            parent.kill()

    assert limits == {kind: (limit, limit) for kind, limit in LIMITS.items()}


def test_lower_limits_of_the_container_stay() -> None:
    program = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 30))
from sidecar.sts.__main__ import OUT_OF_MEMORY
from sidecar.sts.limits import limit_resources
limit_resources()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""

    assert run(program) == "30 30"


def test_child_that_needs_too_much_memory_reports_it() -> None:
    program = f"""
import sidecar.sts.__main__ as child
child.Config.from_environ = lambda environ: None
child.fetch = lambda config, attempts: bytearray({MAX_MEMORY_BYTES})
child.main(1)
"""

    outcome = parse_outcome(run(program).encode())

    assert outcome == OUT_OF_MEMORY


def run(program: str) -> str:
    """Run a program whose standard input stays open; return its output."""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        return running.stdout.read().strip()
