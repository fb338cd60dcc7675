"""Exec plugins of a kubeconfig: errors show what they write as text, and they can ask the user. Libraries' logs."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from testing.api_status import build_status
from testing.hostile_text import STORED, find_unprintable
from testing.repository import ROOT
from testing.serving import serving
from tests.unit.podrole.conftest import Run

API_VERSION = "client.authentication.k8s.io/v1"
MAX_LINE = 700
ENDED = 3


class ApiHandler(BaseHTTPRequestHandler):
    """An API server that knows nobody."""

    def do_GET(self) -> None:
        self.server.authorizations.append(self.headers.get("Authorization"))  # type: ignore[attr-defined] # set by the fixture
        body = json.dumps(build_status(401, "Unauthorized", "who are you?")).encode()
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api_server() -> Iterator[Any]:
    server = HTTPServer(("127.0.0.1", 0), ApiHandler)
    server.authorizations = []  # type: ignore[attr-defined] # what the handler received
    with serving(lambda: server):
        yield server


def write_kubeconfig(directory: Path, url: str, *plugin: str) -> str:
    command, *arguments = plugin
    execute = {"apiVersion": API_VERSION, "command": command, "args": arguments, "interactiveMode": "IfAvailable"}
    content = {
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": {"exec": execute}}],
    }
    path = directory / "config"
    path.write_text(json.dumps(content))
    return str(path)


def build_credential(**status: str) -> str:
    return json.dumps({"apiVersion": API_VERSION, "kind": "ExecCredential", "status": status})


FAILURES = {
    "writes-hostile-text": (f"sys.exit({STORED!r})", "exec: process returned 1"),
    "writes-a-megabyte": ("sys.exit('x' * 1_000_000)", "exec: process returned 1. xxx"),
    "writes-no-json": (f"print({STORED!r})", "exec: failed to decode process output"),
    "writes-no-token": (f"print({build_credential()!r})", "exec: missing token"),
    "writes-no-key": (f"print({build_credential(clientCertificateData='x')!r})", "exec: missing clientKeyData"),
    "has-another-version": (
        f"print(json.dumps({{'apiVersion': {STORED!r}, 'kind': 'a', 'status': {{}}}}))",
        "exec: plugin api version",
    ),
}


@pytest.mark.parametrize(("script", "message"), FAILURES.values(), ids=FAILURES)
def test_failed_plugin_ends_the_command_with_one_printable_line(
    run_process: Run, tmp_path: Path, script: str, message: str
) -> None:
    plugin = [sys.executable, "-c", f"import json, sys; {script}"]
    kubeconfig = write_kubeconfig(tmp_path, "https://127.0.0.1:1", *plugin)

    result = run_process("preflight", "--kubeconfig", kubeconfig)

    assert (result.code, result.stdout) == (ENDED, "")
    assert result.stderr.startswith("Error: the kubeconfig's exec plugin failed: ")
    assert message in result.stderr
    assert find_unprintable(result.stderr) == ""
    assert len(result.stderr.splitlines()) == 1
    assert len(result.stderr) < MAX_LINE


def test_plugin_that_does_not_exist_is_named(run_process: Run, tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path, "https://127.0.0.1:1", "podrole-no-such-plugin")

    result = run_process("trust-policy", "--all", "--kubeconfig", kubeconfig)

    assert result.code == ENDED
    assert "the kubeconfig's exec plugin failed: " in result.stderr
    assert "'podrole-no-such-plugin'" in result.stderr


def test_plugin_that_fails_at_a_renewal_ends_the_command(run_process: Run, tmp_path: Path, api_server: Any) -> None:
    """The first token has expired already, so that each request renews it."""
    credential = build_credential(token="first", expirationTimestamp="2020-01-01T00:00:00Z")
    script = f"""
import os, sys
if os.path.exists({str(tmp_path / "used")!r}):
    sys.exit({STORED!r})
open({str(tmp_path / "used")!r}, "w").close()
print({credential!r})
"""
    kubeconfig = write_kubeconfig(tmp_path, build_url(api_server), sys.executable, "-c", script)

    result = run_process("preflight", "--kubeconfig", kubeconfig)

    assert result.code == ENDED
    assert "the kubeconfig's exec plugin failed: exec: process returned 1" in result.stderr
    assert find_unprintable(result.stderr) == ""
    assert api_server.authorizations == []


def test_what_libraries_log_is_one_printable_line() -> None:
    program = f"""
import logging
import click
from podrole.__main__ import COMMANDS, main

@click.command()
def log():
    error = ValueError({STORED!r})
    logging.getLogger("urllib3.connection").warning("Certificate: %s", {STORED!r} * 100, exc_info=error)

COMMANDS["log"] = ("__main__:log", "")
main(["log"])
"""
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert result.stderr.startswith("warning: Certificate: ")
    assert find_unprintable(result.stderr) == ""
    assert len(result.stderr.splitlines()) == 1
    assert len(result.stderr) < MAX_LINE


def test_plugin_can_ask_the_user_on_a_terminal(tmp_path: Path, api_server: Any) -> None:
    script = f"""
import json, sys
assert sys.stdin.isatty() and sys.stderr.isatty()
print("password? ", end="", file=sys.stderr, flush=True)
credential = json.loads({build_credential(token="")!r})
credential["status"]["token"] = input()
print(json.dumps(credential))
"""
    kubeconfig = write_kubeconfig(tmp_path, build_url(api_server), sys.executable, "-c", script)

    with run_on_terminal("preflight", "--kubeconfig", kubeconfig) as (process, terminal):
        shown = read_until(terminal, b"password? ")
        os.write(terminal, b"open-sesame\n")
        shown += read_until(terminal, b"who are you?")

        assert process.wait(20) == ENDED
    assert shown.startswith(b"password? ")
    assert set(api_server.authorizations) == {"Bearer open-sesame"}


def test_failed_plugin_on_a_terminal_refers_to_what_it_wrote(tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path, "https://127.0.0.1:1", sys.executable, "-c", "raise SystemExit('no login')")

    with run_on_terminal("preflight", "--kubeconfig", kubeconfig) as (process, terminal):
        shown = read_until(terminal, b"above\r\n")

        assert process.wait(20) == ENDED
    assert shown == b"no login\r\nError: the kubeconfig's exec plugin failed: its error is above\r\n"


def build_url(server: Any) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


@contextmanager
def run_on_terminal(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the command on a terminal of its own; yield the process, and the terminal as the user's side sees it."""
    users_side, its_side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "podrole", *arguments],
        env={**os.environ, "PYTHONPATH": os.fspath(ROOT)},
        stdin=its_side,
        stdout=its_side,
        stderr=its_side,
        start_new_session=True,
    )
    os.close(its_side)
    with closing(os.fdopen(users_side, "rb", buffering=0)):
        try:
            yield process, users_side
        finally:
            process.kill()
            process.wait()


def read_until(terminal: int, text: bytes) -> bytes:
    shown = b""
    while text not in shown:
        shown += os.read(terminal, 4096)
    return shown
