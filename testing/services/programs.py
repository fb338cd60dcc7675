"""Starts a server program, waits for the log line that shows it is ready, and stops it.

It reads the log instead of connecting, because the program can run in another network namespace.
"""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Popen = Callable[..., "subprocess.Popen[Any]"]
"""Starts a program: subprocess.Popen or a function with the same arguments."""

POLL_SECONDS = 0.01
END_WITHIN_SECONDS = 5
LOG_TAIL_LINES = 20

IMDS_SCRIPT = Path(__file__).with_name("imds.py")


class ServiceError(Exception):
    """A service ended early or was not ready in time. The message has the end of its log and what to do."""


@dataclass(frozen=True)
class Program:
    """A server program: its command, ready pattern and signal."""

    name: str
    argv: tuple[str, ...]
    ready: str
    """A regular expression that matches somewhere in the log when the program is ready."""

    remedy: str
    """What the user can do if it does not start."""

    end_signal: signal.Signals = signal.SIGTERM


@contextmanager
def running(
    program: Program, directory: Path, popen: Popen = subprocess.Popen, within_seconds: float = 60
) -> Iterator[re.Match[str]]:
    """Run a program until the block ends; yield the match of `ready`. Its log is `<name>.log` in the folder."""
    log = directory / f"{program.name}.log"
    with log.open("wb") as output:
        process = popen(list(program.argv), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    with process:
        try:
            yield _await_ready(program, process, log, time.monotonic() + within_seconds)
        finally:
            _end(process, program.end_signal)


def _await_ready(program: Program, process: "subprocess.Popen[Any]", log: Path, deadline: float) -> re.Match[str]:
    while True:
        has_ended = process.poll() is not None
        written = log.read_text(errors="replace")
        if not has_ended and (match := re.search(program.ready, written)):
            return match
        if has_ended or time.monotonic() > deadline:
            state = f"ended with code {process.returncode}" if has_ended else "did not serve in time"
            tail = "\n".join(f"  {line}" for line in written.splitlines()[-LOG_TAIL_LINES:])
            raise ServiceError(f"{program.name} {state}: {program.remedy}. The end of {log}:\n{tail or '  (empty)'}")
        time.sleep(POLL_SECONDS)


def _end(process: "subprocess.Popen[Any]", end_signal: signal.Signals) -> None:
    process.send_signal(end_signal)
    try:
        process.wait(END_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def build_sts_program(address: str = "127.0.0.1", port: int = 0) -> Program:
    """Build the program for moto's STS. It accepts any token and knows the keys that it issued. Port 0: a free port."""
    return Program(
        name="sts",
        argv=(sys.executable, "-m", "moto.server", "-H", address, "-p", str(port)),
        ready=r"Running on (http://\S+)",
        remedy="install the test dependencies (moto[sts], flask-cors) or free the port",
    )


@contextmanager
def sts(directory: Path, address: str = "127.0.0.1", port: int = 0, popen: Popen = subprocess.Popen) -> Iterator[str]:
    """Run moto's STS; yield its URL."""
    with running(build_sts_program(address, port), directory, popen) as match:
        yield match[1]


def build_imds_program(credentials_file: Path, endpoints: tuple[str, ...], options: Sequence[str] = ()) -> Program:
    """Build the program for the fake metadata service; endpoints as `169.254.169.254:80`, `[fd00:ec2::254]:80`."""
    return Program(
        name="imds",
        argv=(sys.executable, "-I", str(IMDS_SCRIPT), str(credentials_file), *endpoints, *options),
        ready=r"serving on (\S+(?: \S+)*)",
        remedy="give each address to an interface first, and run as root of the network namespace for port 80",
    )


@contextmanager
def imds(
    directory: Path,
    credentials_file: Path,
    endpoints: tuple[str, ...],
    popen: Popen = subprocess.Popen,
    options: Sequence[str] = (),
) -> Iterator[tuple[str, ...]]:
    """Run the fake metadata service; yield the endpoints with their actual ports."""
    with running(build_imds_program(credentials_file, endpoints, options), directory, popen) as match:
        yield tuple(match[1].split())
