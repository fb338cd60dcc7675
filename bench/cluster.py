"""`python -m bench.cluster`: the injector's time to ready and memory in a large cluster, and in an empty one.

The difference is the cost of its watch cache.
"""

import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.api import running_api
from bench.measure import MEBI, compare_with_budgets, pin, print_table, read_memory
from testing.fake_api_server import build_environ
from testing.ports import find_free_ports

NAMESPACES, ACCOUNTS = 2_000, 10_000
LARGEST_NOTE_BYTES = 255 * 1024
"""The API server stores 256 KiB of annotations of one object."""

ROUNDS = 5
TIMEOUT_SECONDS = 180
POLL_SECONDS = 0.01


class Start(NamedTuple):
    """One start, or the medians of several. Memory of both processes in MiB when /readyz first returns 200."""

    seconds: float
    rss: float
    pss: float
    anonymous: float
    arbiter: float
    """The arbiter's share of the PSS."""

    peak: float
    """The most resident memory of both processes until then."""

    def __str__(self) -> str:
        pss = f"PSS {self.pss:.1f} (arbiter {self.arbiter:.1f})"
        memory = f"RSS {self.rss:.1f} (at most {self.peak:.1f}), {pss}, anonymous {self.anonymous:.1f} MiB"
        return f"ready after {self.seconds:.2f} s; {memory}"


def measure(namespaces: int, accounts: int, note_bytes: int = 0, rounds: int = ROUNDS) -> Start:
    """Start the injector several times against one API server."""
    with tempfile.TemporaryDirectory() as name, running_api(namespaces, accounts, note_bytes) as (api_pid, api_port):
        pin(api_pid, 0)
        starts = [measure_start(Path(name), api_port) for _ in range(rounds)]
    return Start(*map(statistics.median, zip(*starts, strict=True)))


def measure_start(directory: Path, api_port: int) -> Start:
    """Measure one start, from exec until /readyz returns 200."""
    began = time.monotonic()
    with running_injector(directory, api_port) as (process, port):
        pin(process.pid, 1)  # before it starts its worker, which inherits this
        while not is_ready(port):
            if process.poll() is not None or time.monotonic() > began + TIMEOUT_SECONDS:
                raise SystemExit((directory / "injector.log").read_text())
            time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - began
        arbiter = psutil.Process(process.pid)
        [worker] = arbiter.children()
        rss = sum(each.memory_info().rss for each in (arbiter, worker)) / MEBI
        both = read_memory(process.pid)
        peak = sum(read_peak(each.pid) for each in (arbiter, worker))
        return Start(seconds, rss, *both, both.pss - read_memory(worker.pid).pss, peak)


def read_peak(pid: int) -> float:
    """The most resident memory that a process has had, in MiB (VmHWM, in KiB).

    https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
    """
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


@contextmanager
def running_injector(directory: Path, api_port: int) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Run it as in a pod, with self-managed certificates; yield its process and its health port."""
    port = find_free_ports(2)
    environ = build_environ(directory, api_port, port)
    argv = [sys.executable, "-m", "injector"]
    with (directory / "injector.log").open("wb") as log, subprocess.Popen(argv, env=environ, stderr=log) as process:
        try:
            yield process, port + 1
        finally:
            process.terminate()


def is_ready(port: int) -> bool:
    """Whether /readyz returns 200; false while nothing listens."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)) as connection:
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False


def main() -> None:
    """Measure, print the tables, and exit with 1 if a figure is over budget."""
    pin(os.getpid(), 0)
    large, empty = measure(NAMESPACES, ACCOUNTS), measure(0, 0)
    filled = measure(NAMESPACES, ACCOUNTS, LARGEST_NOTE_BYTES, rounds=1)
    name = f"{ACCOUNTS} ServiceAccounts in {NAMESPACES} namespaces"
    rows = {name: large, f"the same, each with {LARGEST_NOTE_BYTES} bytes more": filled, "an empty cluster": empty}
    print_table(f"injector, medians of {ROUNDS} starts, the second row one start", rows)
    figures = {
        "ready s": large.seconds,
        "RSS MiB": large.rss,
        "PSS MiB": large.pss,
        "anonymous MiB": large.anonymous,
        "anonymous MiB for the cluster": large.anonymous - empty.anonymous,
        "RSS MiB at most, largest annotations": filled.peak,
    }
    sys.exit(compare_with_budgets("injector", figures) and 1)


if __name__ == "__main__":
    main()
