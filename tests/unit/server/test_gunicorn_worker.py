"""The worker class under gunicorn's own command, with an ordinary WSGI app."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from testing.ports import find_free_port
from testing.repository import ROOT

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TIMEOUT_SECONDS = 3
"""After which the arbiter replaces a worker that hangs."""

WAIT_SECONDS = 60


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Return the pid of the worker, after half a second if the path is /slow."""
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.5)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]


class Gunicorn:
    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log

    def ask(self, path: str = "/") -> int:
        """The pid of the worker that answers."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_SECONDS) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            received = b"".join(iter(lambda: connection.recv(65536), b""))
        return int(received.partition(b"\r\n\r\n")[2])

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def ask_until(self, condition: Callable[[int], bool]) -> int:
        """Ask until a worker answers that satisfies the condition; return its pid."""
        pids: list[int] = []

        def is_found() -> bool:
            with suppress(OSError, ValueError):
                pids.append(self.ask())
            return bool(pids) and condition(pids[-1])

        self.wait_for(is_found)
        return pids[-1]


@pytest.fixture
def gunicorn(tmp_path: Path) -> Iterator[Gunicorn]:
    port, log = find_free_port(), tmp_path / "log"
    argv = [sys.executable, "-m", "gunicorn", f"{__name__}:app", f"--bind=127.0.0.1:{port}", "--no-control-socket"]
    options = ["--worker-class=server.gunicorn_worker.LoopWorker", f"--timeout={TIMEOUT_SECONDS}"]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    with log.open("wb") as output:
        process = subprocess.Popen([*argv, *options], cwd=ROOT, env=environ, stderr=output)
    running = Gunicorn(process, port, log)
    try:
        running.ask_until(lambda _pid: True)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(WAIT_SECONDS)
        finally:
            process.kill()


def test_killed_worker_is_replaced_at_once(gunicorn: Gunicorn) -> None:
    first = gunicorn.ask()
    os.kill(first, signal.SIGKILL)
    began = time.monotonic()

    second = gunicorn.ask_until(lambda pid: pid != first)

    assert second != first
    assert gunicorn.process.poll() is None
    assert time.monotonic() - began < 5


def test_worker_that_hangs_is_replaced_after_the_timeout(gunicorn: Gunicorn) -> None:
    first = gunicorn.ask()
    os.kill(first, signal.SIGSTOP)

    gunicorn.wait_for(lambda: not psutil.pid_exists(first))

    assert gunicorn.ask_until(lambda pid: pid != first)


def test_worker_that_serves_is_not_replaced(gunicorn: Gunicorn) -> None:
    first = gunicorn.ask()

    time.sleep(TIMEOUT_SECONDS + 2)  # longer than the arbiter waits for a heartbeat

    assert gunicorn.ask() == first


def test_worker_ends_after_the_arbiter_was_killed(gunicorn: Gunicorn) -> None:
    worker = gunicorn.ask()
    gunicorn.process.kill()
    gunicorn.process.wait()

    gunicorn.wait_for(lambda: not psutil.pid_exists(worker))


def test_killed_arbiter_is_logged_once_while_a_request_is_unfinished(gunicorn: Gunicorn) -> None:
    worker = gunicorn.ask()
    with socket.create_connection(("127.0.0.1", gunicorn.port), timeout=WAIT_SECONDS) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
        gunicorn.process.kill()
        gunicorn.process.wait()
        gunicorn.wait_for(lambda: "arbiter has died" in gunicorn.log.read_text())
        time.sleep(1.5)  # the first check after a second, then twenty in each

    gunicorn.wait_for(lambda: not psutil.pid_exists(worker))
    assert gunicorn.log.read_text().count("arbiter has died") == 1


def test_sigterm_finishes_the_request_in_progress_and_exits_with_zero(gunicorn: Gunicorn) -> None:
    with socket.create_connection(("127.0.0.1", gunicorn.port), timeout=WAIT_SECONDS) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.2)  # until the request has arrived
        gunicorn.process.terminate()
        received = b"".join(iter(lambda: connection.recv(65536), b""))

    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert gunicorn.process.wait(WAIT_SECONDS) == 0
    assert not re.search("Traceback", gunicorn.log.read_text())


def test_sigquit_ends_at_once_even_while_a_request_is_handled(gunicorn: Gunicorn) -> None:
    with socket.create_connection(("127.0.0.1", gunicorn.port), timeout=WAIT_SECONDS) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.2)  # until the request has arrived
        gunicorn.process.send_signal(signal.SIGQUIT)
        began = time.monotonic()
        gunicorn.process.wait(WAIT_SECONDS)

    assert time.monotonic() - began < 5


def is_listening(worker: psutil.Process) -> bool:
    try:
        return any(one.status == psutil.CONN_LISTEN for one in worker.net_connections())
    except psutil.NoSuchProcess:  # on a slow machine it has ended by now
        return False


def test_no_client_can_connect_while_requests_are_finished(gunicorn: Gunicorn) -> None:
    with socket.create_connection(("127.0.0.1", gunicorn.port), timeout=WAIT_SECONDS) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        worker = psutil.Process(gunicorn.process.pid).children()[0]
        time.sleep(0.2)  # until the requests have arrived
        gunicorn.process.terminate()

        gunicorn.wait_for(lambda: not is_listening(worker))
        received = b"".join(iter(lambda: connection.recv(65536), b""))

    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
