"""Answers without an end, in the child process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.sts.process import PASSED_VARIABLES, SET_VARIABLES
from testing.raw_server import Connection, raw_server
from testing.repository import ROOT
from testing.sidecars import build_environ

ENDLESS = {
    "body": (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    "header": (b"HTTP/1.1 200 OK\r\nName: ", b"x" * 65536),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"Name: value\r\n" * 5000),
    "interim-responses": (b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 3000),
}
"""The start, and what follows again and again."""

LARGEST_CHILD_KIB = 40 * 1024


@pytest.mark.parametrize("kind", ENDLESS)
def test_endless_answer_does_not_fill_the_childs_memory(tmp_path: Path, kind: str) -> None:
    """boto3 would read it until the memory limit ends the process."""
    start, endless = ENDLESS[kind]
    (tmp_path / "token").write_text("to.ke.n")

    def respond(connection: Connection) -> None:
        connection.send(start)
        connection.flood(endless)

    with raw_server(respond) as server:
        outcome, peak_kib = run_child(build_environ(tmp_path, server.url()))

    assert outcome["code"] == "InvalidResponse"
    assert peak_kib < LARGEST_CHILD_KIB


def run_child(environ: dict[str, str]) -> tuple[dict[str, str], int]:
    """Run the child process; return its outcome and its peak memory, which does not include this process's."""
    script = (
        "import resource, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-m', 'sidecar.sts', '1'], stdin=subprocess.PIPE)\n"
        "child.wait()\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    passed = {name: environ[name] for name in PASSED_VARIABLES if name in environ} | SET_VARIABLES
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, env=passed, cwd=ROOT, capture_output=True, text=True, check=True)
    line, peak = ran.stdout.splitlines()
    return json.loads(line), int(peak)
