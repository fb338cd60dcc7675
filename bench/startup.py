"""Measures the time from a sidecar's exec to the first credentials that it serves."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.baseline import build_argv
from bench.cgroups import cpu_limit
from bench.client import Target, send_requests
from bench.slow_clients import ADDRESS, HEAD
from testing.ports import find_free_port
from testing.repository import ROOT
from testing.services.faulty_sts import FaultySts, Grant
from testing.sidecars import build_environ

OPTIONS = ("-OO", "-X", "no_debug_ranges")
"""As the packages in the image are compiled: without docstrings, asserts and column tables."""

STARTS = 9
GET = HEAD + b"Connection: close\r\n\r\n"
BASELINE_GET = b"GET / HTTP/1.1\r\nHost: baseline\r\nConnection: close\r\n\r\n"


@contextmanager
def running(sts: FaultySts, module: str = "sidecar", group: Path | None = None) -> Iterator[tuple[int, int]]:
    """Run a sidecar in env mode; yield its pid and port at once, before it is ready."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "token").write_text("to.ke.n")
        environ = build_environ(directory, sts.url)
        argv = [sys.executable, *OPTIONS, "-m", module]
        if group:
            argv = ["sh", "-c", f'echo $$ > {group} && exec "$@"', "sh", *argv]
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(argv, cwd=ROOT, env=environ, stdout=log, stderr=log)
        try:
            yield process.pid, int(environ["PODROLE_PORT"])
        finally:
            process.terminate()
            process.wait(30)


def wait_for_response(port: int, request: bytes = GET) -> None:
    """Retry until a request succeeds."""
    while True:
        try:
            send_requests(Target((ADDRESS, port), request), 1)
        except (ConnectionRefusedError, SystemExit):
            time.sleep(0.002)
        else:
            return


class Start(list[float]):
    """Seconds from exec to the first response, of several starts."""

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self)

    def __str__(self) -> str:
        return (
            f"min {min(self):.2f}, median {self.median:.2f} s" if self else "not measured: cannot set a CPU limit here"
        )


def measure_starts(sts: FaultySts, delay_seconds: float, millicores: int | None = None) -> Start:
    """Measure from exec to the first served credentials; empty if the CPU limit cannot be set."""
    sts.will(afterwards=Grant(delay_seconds=delay_seconds))
    durations = Start()
    with cpu_limit(millicores or 1000) as group:
        if millicores and group is None:
            return durations
        for _ in range(STARTS if millicores is None else 3):
            began = time.perf_counter()
            with running(sts, group=group if millicores else None) as (_, port):
                wait_for_response(port)
                durations.append(time.perf_counter() - began)
    return durations


def measure_baseline_starts() -> Start:
    """Measure from the baseline's exec to its first response."""
    durations = Start()
    for _ in range(STARTS):
        port, began = find_free_port(), time.perf_counter()
        process = subprocess.Popen(build_argv(port), cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            wait_for_response(port, BASELINE_GET)
            durations.append(time.perf_counter() - began)
        finally:
            process.terminate()
            process.wait(30)
    return durations
