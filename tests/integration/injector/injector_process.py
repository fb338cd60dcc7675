"""The injector as processes that log into a file: an arbiter and its worker."""

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from testing.cases import ENVIRON, load_review
from testing.fake_api_server import build_environ as build_cluster_environ
from testing.ports import find_free_ports
from testing.repository import ROOT
from testing.services.certificates import write_certificates
from tests.unit.injector.k8s.watched_cluster import wait_until

MODULE = ("-m", "injector")
CHANGED = (
    "import runpy; from injector import arbiter, services, worker; {change}; "
    "runpy.run_module('injector', run_name='__main__')"
)
"""A program that changes something before it starts the injector."""

END_WITHIN_SECONDS = 20
TRIES = 10
REVIEW = json.dumps(load_review("pod-create-generate-name")).encode()


@dataclass(frozen=True)
class Injector:
    """The running processes."""

    process: "subprocess.Popen[bytes]"
    """The arbiter."""

    port: int
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def get(self, path: str) -> tuple[int, str]:
        """Status and body from the health port; 0 while nothing listens or answers there."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port + 1}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            assert self.process.poll() is None, self.log
            return 0, ""

    def shake_hands(self) -> str:
        """The certificate that a handshake gets; OSError if the connection is closed instead."""
        return ssl.get_server_certificate(("127.0.0.1", self.port), timeout=10)

    @property
    def workers(self) -> list[psutil.Process]:
        """The arbiter's children that run."""
        running = []
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):
                if child.status() != psutil.STATUS_ZOMBIE:
                    running.append(child)
        return running

    @property
    def worker(self) -> psutil.Process:
        """The only worker."""
        found: list[psutil.Process] = []

        def has_one() -> bool:
            found[:] = self.workers
            return len(found) == 1

        wait_until("there is one worker", has_one)
        return found[0]

    def wait_for_worker(self, *, other_than: int = 0) -> psutil.Process:
        """Wait until /healthz returns 200 and the worker has another pid than this; return the worker."""
        wait_until("a worker answers", lambda: self.worker.pid != other_than and self.get("/healthz")[0] == 200)
        return self.worker


def build_file_environ(directory: Path) -> dict[str, str]:
    """The environment of an injector without a cluster, whose certificate is in files."""
    files = write_certificates(directory, ["127.0.0.1"])
    port = find_free_ports(2)
    return {
        **ENVIRON,
        "PATH": os.environ["PATH"],
        "PODROLE_MANIFESTS": str(ROOT / "testing/manifests"),
        "PODROLE_TLS_CERT": str(files.certificate),
        "PODROLE_TLS_KEY": str(files.key),
        "PODROLE_WEBHOOK_HOST": "127.0.0.1",
        "PODROLE_WEBHOOK_PORT": str(port),
        "PODROLE_HEALTH_PORT": str(port + 1),
    }


@contextmanager
def run_injector(
    directory: Path, environ: Mapping[str, str], program: Sequence[str] = MODULE, stderr: int | None = None
) -> Iterator[Injector]:
    """Run the injector until the block ends. Its log is a file, unless `stderr` is given."""
    log = directory / "log"
    argv = [sys.executable, *program]
    with (
        log.open("wb") as output,
        subprocess.Popen(argv, cwd=ROOT, env=environ, stderr=output if stderr is None else stderr) as process,
    ):
        try:
            yield Injector(process, int(environ["PODROLE_WEBHOOK_PORT"]), log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=END_WITHIN_SECONDS)


@contextmanager
def running(directory: Path, api_port: int) -> Iterator[Injector]:
    """Run the injector with an API server; each of its imports is a line of the log."""
    environ = build_cluster_environ(directory, api_port, find_free_ports(2))
    with run_injector(directory, environ, ["-X", "importtime", *MODULE]) as injector:
        yield injector


def open_connection(injector: Injector) -> http.client.HTTPSConnection:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", injector.port, timeout=10, context=context)


def send_review(connection: http.client.HTTPSConnection, body: bytes = REVIEW) -> http.client.HTTPResponse:
    connection.request("POST", "/mutate?timeout=5s", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    response.read()
    return response


def ask(injector: Injector, body: bytes = REVIEW) -> Any:
    """What a review gets. After a 429 it is sent again, as by the API server: on a busy machine a thread is late."""
    for _ in range(TRIES):
        with closing(open_connection(injector)) as connection:
            connection.request("POST", "/mutate?timeout=5s", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            if response.status != http.HTTPStatus.TOO_MANY_REQUESTS:
                return json.loads(response.read())["response"]
    raise AssertionError(injector.log)


def review(injector: Injector, body: bytes = REVIEW) -> int:
    """The status of a review on a new connection."""
    with closing(open_connection(injector)) as connection:
        return send_review(connection, body).status
