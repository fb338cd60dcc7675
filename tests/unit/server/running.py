"""Runs the hostile server as a process, and connects to it."""

import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import psutil

from testing.ports import find_free_ports
from testing.raw_http import Answer, Wire
from testing.repository import ROOT
from testing.services.certificates import write_certificates
from tests.unit.server.stopwatch import Stopwatch

START_SECONDS = 20
MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "32768", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""glibc returns freed memory at once, so that what the process has is what the server holds.

https://man7.org/linux/man-pages/man3/mallopt.3.html
"""

MAX_SECONDS = 1.0
"""Within this time a new client is answered, whatever others do."""


class Port(Enum):
    """Of one server: the second has TLS."""

    PLAIN = 0
    TLS = 1


@dataclass(frozen=True)
class Running:
    """The server's process, its two ports and its log."""

    process: "subprocess.Popen[bytes]"
    port: int
    log_file: Path
    context: ssl.SSLContext

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def connect(self, port: Port = Port.PLAIN, receive_buffer: int = 0) -> socket.socket:
        """Open a connection, with its TLS handshake. The kernel keeps few bytes for a client with a small buffer."""
        opened = socket.socket()
        if receive_buffer:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        opened.settimeout(10)
        try:
            opened.connect(("127.0.0.1", self.port + port.value))
        except OSError:
            opened.close()
            raise
        return self.context.wrap_socket(opened, server_hostname="127.0.0.1") if port == Port.TLS else opened

    def ask(self, request: bytes, port: Port = Port.PLAIN) -> Answer:
        """Send a request on a new connection and read its response."""
        with self.connect(port) as connection:
            connection.sendall(request)
            return Wire(connection).read_answer()

    def exchange(self, sent: bytes) -> bytes:
        """Send on a new connection; return all that arrives until the server closes."""
        with self.connect() as connection:
            with suppress(ConnectionError):
                connection.sendall(sent)
            return Wire(connection).read_rest()

    def check_new_clients(self) -> None:
        """Fail unless the process lives and answers new clients on both ports in time."""
        for port in Port:
            stopwatch = Stopwatch(self.process.pid)
            answer = self.ask(build("/echo", "new"), port)
            waited = stopwatch.read()
            assert (answer.status, answer.find("X-Id")) == (200, "new")
            assert waited < MAX_SECONDS
        assert self.process.poll() is None

    def read_memory(self) -> int:
        """The process's anonymous bytes."""
        lines = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:"))

    def count_files(self) -> int:
        """The process's open descriptors."""
        return psutil.Process(self.process.pid).num_fds()

    def wait_for_files(self, most: int, seconds: float = 10) -> None:
        """Wait until it has no more descriptors than this; fail if that takes too long."""
        deadline = time.monotonic() + seconds
        while (files := self.count_files()) > most:
            assert time.monotonic() < deadline, f"{files} open files instead of {most}"
            time.sleep(0.05)


def build(target: str, request_id: str, body: bytes = b"", headers: bytes = b"") -> bytes:
    """Build a PUT with an id."""
    head = f"PUT {target} HTTP/1.1\r\nHost: a\r\nX-Id: {request_id}\r\nContent-Length: {len(body)}\r\n".encode()
    return head + headers + b"\r\n" + body


@contextmanager
def running(directory: Path) -> Iterator[Running]:
    """Run the server until the block ends."""
    files = write_certificates(directory, ["127.0.0.1"])
    port, log = find_free_ports(2), directory / "log"
    command = [sys.executable, "-m", "tests.unit.server.hostile_server", str(port), str(files.certificate)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, str(files.key)], cwd=ROOT, stdout=output, stderr=output, env=os.environ | MALLOC
        )
    started = Running(process, port, log, ssl.create_default_context(cafile=files.ca))
    try:
        wait_until_started(started)
        yield started
    finally:
        process.kill()
        process.wait()


def wait_until_started(server: Running) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.process.poll() is None and time.monotonic() < deadline:
        with suppress(ConnectionRefusedError):
            server.connect(Port.TLS).close()
            return
        time.sleep(0.02)
    raise AssertionError(f"the server did not start:\n{server.log}")
