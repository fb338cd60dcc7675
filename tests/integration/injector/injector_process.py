"""The injector as processes that log into a file: an arbiter and its worker."""

import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from testing.fake_api_server import build_environ
from testing.ports import find_free_ports
from testing.repository import ROOT
from tests.unit.injector.k8s.watched_cluster import wait_until

MODULE = ("-m", "injector")
END_WITHIN_SECONDS = 20


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


@contextmanager
def run_injector(directory: Path, environ: Mapping[str, str], program: Sequence[str] = MODULE) -> Iterator[Injector]:
    """Run the injector until the block ends."""
    log = directory / "log"
    argv = [sys.executable, *program]
    with log.open("wb") as output, subprocess.Popen(argv, cwd=ROOT, env=environ, stderr=output) as process:
        try:
            yield Injector(process, int(environ["PODROLE_WEBHOOK_PORT"]), log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=END_WITHIN_SECONDS)


@contextmanager
def running(directory: Path, api_port: int) -> Iterator[Injector]:
    """Run the injector with an API server; each of its imports is a line of the log."""
    environ = build_environ(directory, api_port, find_free_ports(2))
    with run_injector(directory, environ, ["-X", "importtime", *MODULE]) as injector:
        yield injector
