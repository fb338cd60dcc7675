"""Measures the time from a sidecar's exec to the first credentials that it serves."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import contract
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

STARTS, LIMITED_STARTS = 9, 3
THE_BASELINE = "the baseline, to its first response"
NEAR_STS, FAR_STS = "STS at 0 ms", "STS at 2 x 100 ms"
GET = HEAD + b"Connection: close\r\n\r\n"
BASELINE_GET = b"GET / HTTP/1.1\r\nHost: baseline\r\nConnection: close\r\n\r\n"


class Running(NamedTuple):
    """A sidecar's process, port and environment."""

    process: "subprocess.Popen[bytes]"
    port: int
    environ: Mapping[str, str]


@contextmanager
def running(
    sts: FaultySts, module: str = "sidecar", group: Path | None = None, changes: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Run a sidecar in env mode; yield it at once, before it is ready."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "token").write_text("to.ke.n")
        environ = build_environ(directory, sts.url, **(changes or {}))
        argv = [sys.executable, *OPTIONS, "-m", module]
        if group:
            argv = ["sh", "-c", f'echo $$ > {group} && exec "$@"', "sh", *argv]
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(argv, cwd=ROOT, env=environ, stdout=log, stderr=log)
        with _ending(process):
            yield Running(process, int(environ[contract.ENV_PORT]), environ)


@contextmanager
def running_new_baseline() -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Run the baseline; yield its arbiter and port at once."""
    port = find_free_port()
    process = subprocess.Popen(build_argv(port), cwd=ROOT, stderr=subprocess.DEVNULL)
    with _ending(process):
        yield process, port


@contextmanager
def _ending(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    try:
        yield
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


def measure_starts(sts: FaultySts) -> dict[str, Start]:
    """Start the baseline and the sidecar in turns, so that a disturbance affects both; then with CPU limits."""
    starts = {THE_BASELINE: Start(), NEAR_STS: Start(), FAR_STS: Start()}
    for _ in range(STARTS):
        starts[THE_BASELINE].append(time_baseline_start())
        starts[NEAR_STS].append(time_start(sts, 0))
        starts[FAR_STS].append(time_start(sts, 0.2))
    for millicores in (250, 100):
        starts[f"{NEAR_STS}, CPU limit {millicores}m"] = measure_limited_starts(sts, millicores)
    return starts


def measure_limited_starts(sts: FaultySts, millicores: int) -> Start:
    """Measure with a CPU limit; empty if it cannot be set."""
    with cpu_limit(millicores) as group:
        return Start(time_start(sts, 0, group) for _ in range(LIMITED_STARTS) if group)


def time_start(sts: FaultySts, delay_seconds: float, group: Path | None = None) -> float:
    """The seconds from exec to the first served credential."""
    sts.will(afterwards=Grant(delay_seconds=delay_seconds))
    began = time.perf_counter()
    with running(sts, group=group) as sidecar:
        wait_for_response(sidecar.port)
        return time.perf_counter() - began


def time_baseline_start() -> float:
    """The seconds from the baseline's exec to its first response."""
    began = time.perf_counter()
    with running_new_baseline() as (_, port):
        wait_for_response(port, BASELINE_GET)
        return time.perf_counter() - began
