"""Runs the real sidecar as a process and sends requests over real sockets."""

import http.client
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import contract
from contract.modes import Mode
from testing.ports import find_free_port
from testing.repository import ROOT

ROLE_ARN = "arn:aws:iam::111122223333:role/team/reader"
POD_UID = "0c7c5f4e-1b1a-4c6e-9d52-6f0f6f0b7a11"
CREDENTIALS_PATH = f"{contract.CREDENTIALS_PATH}/{POD_UID}"
START_SECONDS = 20
CLIENT_SECONDS = 60
"""For an overloaded machine."""


@dataclass(frozen=True)
class Reply:
    """A complete response."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sidecar:
    """A running sidecar in env mode, without redirect rules, on a free port."""

    process: subprocess.Popen[bytes]
    port: int
    directory: Path
    environ: Mapping[str, str]

    @property
    def log(self) -> str:
        """Its output so far."""
        return (self.directory / "sidecar.log").read_text()

    def request(self, path: str, method: str = "GET", **headers: str) -> Reply:
        """Send a request; underscores in header names become dashes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CLIENT_SECONDS)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=named)
            response = connection.getresponse()
            return Reply(response.status, response.read().decode(), dict(response.getheaders()))
        finally:
            connection.close()

    def exchange(self, sent: bytes, host: str = "127.0.0.1") -> bytes:
        """Send raw bytes; return everything received until the sidecar closes."""
        with socket.create_connection((host, self.port), timeout=CLIENT_SECONDS) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            received = b""
            while piece := connection.recv(65536):
                received += piece
            return received

    def read_metrics(self) -> str:
        """Its metrics, in Prometheus' text format."""
        url = f"http://127.0.0.1:{self.environ[contract.ENV_METRICS_PORT]}/metrics"
        with urllib.request.urlopen(url, timeout=CLIENT_SECONDS) as answer:
            return str(answer.read().decode())

    def read_metric(self, series: str) -> float | None:
        """The value of a series, which has its labels in its name; None if there is no such series."""
        found = re.search(rf"^{re.escape(series)} (\S+)", self.read_metrics(), re.MULTILINE)
        return float(found[1]) if found else None

    def wait_until_started(self) -> int:
        """Run the postStart hook as the kubelet does; return its exit code."""
        hook = [sys.executable, "-I", "-S", str(ROOT / "sidecar" / "post_start.py")]
        return subprocess.run(hook, env=dict(self.environ), check=False, timeout=START_SECONDS + 30).returncode

    def wait_for_log(self, text: str, seconds: float = CLIENT_SECONDS) -> str:
        """Wait until the log has this text; return the log. Fails with the log."""
        deadline = time.monotonic() + seconds
        while text not in self.log:
            if time.monotonic() > deadline:
                raise AssertionError(f"{text!r} was not logged within {seconds} s:\n{self.log}")
            time.sleep(0.01)
        return self.log


def build_environ(directory: Path, sts_endpoint: str, **changes: str) -> dict[str, str]:
    """The environment that the injector gives a sidecar, with `changes`."""
    return {
        "PATH": os.environ["PATH"],
        contract.ENV_ROLE_ARN: ROLE_ARN,
        contract.ENV_REGION: "eu-west-1",
        contract.ENV_STS_ENDPOINT: sts_endpoint,
        contract.ENV_MODE: Mode.ENV,
        contract.ENV_POD_NAMESPACE: "shop",
        contract.ENV_POD_NAME: "web-5d9c7",
        contract.ENV_POD_UID: POD_UID,
        contract.ENV_RUN_DIRECTORY: str(directory / "run"),
        contract.ENV_TOKEN_FILE: str(directory / "token"),
        contract.ENV_PORT: str(find_free_port()),
    } | changes


@contextmanager
def running_sidecar(
    environ: Mapping[str, str],
    directory: Path,
    stderr: int | None = None,
    program: Sequence[str] = ("-m", "sidecar"),
    enter: Callable[[Sequence[str]], Sequence[str]] = list,
) -> Iterator[Sidecar]:
    """Run the sidecar until the block ends, also if the test fails. Its log is a file, unless `stderr` is given.

    `enter`: changes the command, so that the sidecar starts in a cgroup.
    """
    with (directory / "sidecar.log").open("ab") as log:
        process = subprocess.Popen(
            enter([sys.executable, *program]),
            cwd=ROOT,
            env=dict(environ),
            stdout=log,
            stderr=log if stderr is None else stderr,
        )
    try:
        yield Sidecar(process, int(environ[contract.ENV_PORT]), directory, environ)
    finally:
        process.terminate()
        try:
            process.wait(10)
        finally:
            process.kill()
            process.wait()
