"""A process whose log is a small pipe, which the run can leave unread."""

import fcntl
import os
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import IO

import psutil

from bench.soak.tally import Interruption
from testing.repository import ROOT

PIPE_BYTES = 4096
LOG_LINES = 200
END_SECONDS = 20
IDLE_CONNECTIONS = 300
SPARE_DESCRIPTORS = 3
WARM_UP_SECONDS = 1
"""Before the first sample each process holds its most connections once: the memory for them stays with it."""


class Child:
    """Can be ended and started again with the same command."""

    def __init__(self, name: str, argv: Sequence[str], environ: Mapping[str, str]) -> None:
        self.name = name
        self.interruption = Interruption()
        self.lines: deque[str] = deque(maxlen=LOG_LINES)
        self._argv, self._environ = argv, environ
        self._may_read = threading.Event()
        self._may_read.set()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started last."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.process.pid

    def find_pid(self) -> int:
        """The pid, as a function."""
        return self.pid

    def start(self) -> None:
        """Start it in a process group of its own: Ctrl+C reaches this program only."""
        self._process = process = subprocess.Popen(
            list(self._argv),
            cwd=ROOT,
            env=dict(self._environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        threading.Thread(target=self._read_log, args=(process.stdout,), daemon=True).start()

    def _read_log(self, pipe: IO[bytes]) -> None:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        with pipe:
            while self._may_read.wait() and (line := pipe.readline(65536)):
                self.lines.append(line.decode(errors="replace").rstrip())

    @contextmanager
    def unread_log(self) -> Iterator[None]:
        """Read nothing of its log until the block ends."""
        self._may_read.clear()
        try:
            yield
        finally:
            self._may_read.set()

    def end(self, number: signal.Signals) -> str:
        """Send a signal and wait for its end; return a problem."""
        self.process.send_signal(number)
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return f"did not end within {END_SECONDS} s of {number.name}"
        return ""

    def close(self) -> None:
        """End it and its descendants. Can be called twice."""
        if self._process is None:
            return
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(self.pid).children(recursive=True)
            self.process.kill()
            for each in family:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
        self.process.wait()
        self._may_read.set()

    def find_children(self) -> list[psutil.Process]:
        """Its direct children."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children()
        return []


def pause(pid: int, seconds: float) -> None:
    """Stop a process for a time."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)


def hold_connections(port: int, seconds: float, count: int = IDLE_CONNECTIONS) -> None:
    """Open connections that send nothing."""
    with ExitStack() as stack:
        for _ in range(count):
            with suppress(OSError):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=1))
        time.sleep(seconds)


@contextmanager
def few_descriptors(pid: int) -> Iterator[None]:
    """Leave a process hardly any free file descriptors until the block ends."""
    try:
        before = psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE)
        used = max(map(int, os.listdir(f"/proc/{pid}/fd")), default=0) + 1  # noqa: PTH208
        psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE, (used + SPARE_DESCRIPTORS, before[1]))
    except (psutil.NoSuchProcess, OSError):
        yield
        return
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE, before)
