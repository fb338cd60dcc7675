"""The injector and the sidecar as processes that tests attack over real sockets."""

import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from testing.cases import load_review
from testing.fake_api_server import build_environ as build_injector_environ
from testing.fake_api_server import writable_api_server
from testing.fake_list_watch_server import ACCOUNTS, NAMESPACES
from testing.ports import find_free_port, find_free_ports
from testing.raw_http import Answer, Wire, build_request
from testing.repository import ROOT
from testing.services.certificates import write_certificates
from testing.services.faulty_sts import faulty_sts
from testing.serving import serving
from testing.sidecars import CREDENTIALS_PATH, build_environ, running_sidecar
from tests.unit.server.stopwatch import Stopwatch
from tests.unit.sidecar.endpoints.test_node_metadata import ALLOWED, NodeService

START_SECONDS = 30
SLOW_REQUESTS = 2
PATIENT = """
import runpy
from injector import deadlines
deadlines.QUEUE_SECONDS = 60
runpy.run_module("injector", run_name="__main__")
"""
"""An injector that answers no review with 429 because a busy machine starts its thread late."""

MIB = 1024 * 1024


@dataclass(frozen=True)
class Target:
    """A running server and the requests that matter to it."""

    process: "subprocess.Popen[bytes]"
    port: int
    log_file: Path
    good: bytes
    """A request that is answered with 200."""

    slow: Sequence[bytes]
    """Requests that need a thread. A sidecar caches what they return: each works once."""

    context: ssl.SSLContext | None = None
    """With TLS."""

    plain_port: int = 0
    """Of metrics."""

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def connect(self) -> socket.socket:
        """Open a connection, with its TLS handshake."""
        opened = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        return self.context.wrap_socket(opened, server_hostname="127.0.0.1") if self.context else opened

    def ask(self) -> Answer:
        """Send the good request on a new connection."""
        with self.connect() as connection:
            connection.sendall(self.good)
            return Wire(connection).read_answer()

    def time_answer(self) -> float:
        """The seconds until a new client has its answer. Fails if it is not 200."""
        stopwatch = Stopwatch(*self.find_processes())
        assert self.ask().status == 200
        return stopwatch.read()

    def find_processes(self) -> dict[int, float]:
        """The pids and start times of the process and of the workers below it."""
        root = psutil.Process(self.process.pid)
        workers = [child for child in root.children() if "sts" not in " ".join(child.cmdline())]
        return {process.pid: process.create_time() for process in (root, *workers)}

    def read_memory(self) -> int:
        """The resident bytes of all its processes."""
        return sum(psutil.Process(pid).memory_info().rss for pid in self.find_processes())


def build_review(namespace: str) -> bytes:
    """A POST of a review of a pod in this namespace."""
    review = load_review("pod-create-replicaset")
    review["request"]["namespace"] = review["request"]["object"]["metadata"]["namespace"] = namespace
    body = json.dumps(review).encode()
    return b"POST /mutate HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@contextmanager
def running_injector(directory: Path) -> Iterator[Target]:
    """Run the injector with an API server that knows one namespace; wait until it answers."""
    files = write_certificates(directory, ["127.0.0.1"])
    port, log = find_free_ports(2), directory / "log"
    with writable_api_server() as api, log.open("wb") as output:
        api.put(NAMESPACES, "known")
        api.put(ACCOUNTS, "default", "known")
        environ = build_injector_environ(directory, api.port, port) | {
            "PODROLE_TLS_CERT": str(files.certificate),
            "PODROLE_TLS_KEY": str(files.key),
        }
        process = subprocess.Popen([sys.executable, "-c", PATIENT], cwd=ROOT, env=environ, stderr=output)
        slow = [build_review("unknown")] * SLOW_REQUESTS
        context = ssl.create_default_context(cafile=files.ca)
        target = Target(process, port, log, build_review("known"), slow, context, port + 1)
        try:
            wait_until_answered(replace(target, port=port + 1, context=None, good=build_request("/readyz", host="a")))
            yield target
        finally:
            stop(process)


@contextmanager
def running_passthrough_sidecar(directory: Path) -> Iterator[Target]:
    """Run a sidecar with credentials, metrics, and pass-through to a service that is slow."""
    (directory / "token").write_text("to.ke.n")
    with faulty_sts() as sts, serving(NodeService) as node:
        metrics = find_free_port()
        changes = {
            "PODROLE_METADATA_PASSTHROUGH": "true",
            "PODROLE_NODE_METADATA_ENDPOINT": node.url,
            "PODROLE_METRICS": "true",
            "PODROLE_METRICS_PORT": str(metrics),
        }
        with running_sidecar(build_environ(directory, sts.url, **changes), directory) as sidecar:
            assert sidecar.wait_until_started() == 0, sidecar.log
            good = build_request(CREDENTIALS_PATH)
            slow = [build_request(path) for path in sorted(ALLOWED)]
            log = directory / "sidecar.log"
            yield Target(sidecar.process, sidecar.port, log, good, slow, plain_port=metrics)


def wait_until_answered(target: Target) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and target.process.poll() is None:
        with suppress(OSError, EOFError):
            if target.ask().status == 200:
                return
        time.sleep(0.05)
    raise AssertionError(target.log)


def stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(20)
    finally:
        process.kill()
        process.wait()
