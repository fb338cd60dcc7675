"""Starts a server program, waits for the log line that says that it serves, ends it by its pid.

A log is read, and no connection made, because the program may run in a network namespace that this process is not in.
"""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Popen = Callable[..., "subprocess.Popen[Any]"]
"""What starts a program: subprocess.Popen, or one that starts it elsewhere and takes the same arguments."""

POLL_SECONDS = 0.01
END_WITHIN_SECONDS = 5
LOG_TAIL_LINES = 20

IMDS_SCRIPT = Path(__file__).with_name("imds.py")


class ServiceError(Exception):
    """A service ended early or did not serve in time. The message has the end of its log and what to do."""


@dataclass(frozen=True)
class Program:
    """A server program: how to start it, how its log says that it serves, how to end it."""

    name: str
    argv: tuple[str, ...]
    ready: str
    """A regular expression that matches, anywhere in the log, once the program serves."""

    remedy: str
    """What a person can do when it does not come up."""

    end_signal: signal.Signals = signal.SIGTERM


@contextmanager
def running(
    program: Program, directory: Path, popen: Popen = subprocess.Popen, within_seconds: float = 30
) -> Iterator[re.Match[str]]:
    """Run a program until the block ends; give what `ready` matched. Its log is `<name>.log` in the directory."""
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
    """The server of moto, with an STS that accepts any token and knows the keys that it gave; port 0: a free one."""
    return Program(
        name="sts",
        argv=(sys.executable, "-m", "moto.server", "-H", address, "-p", str(port)),
        ready=r"Running on (http://\S+)",
        remedy="install the test dependencies (moto[sts], flask-cors) or free the port",
    )


@contextmanager
def sts(directory: Path, address: str = "127.0.0.1", port: int = 0, popen: Popen = subprocess.Popen) -> Iterator[str]:
    """Run moto's STS; give its URL."""
    with running(build_sts_program(address, port), directory, popen) as match:
        yield match[1]


def build_imds_program(credentials_file: Path, endpoints: tuple[str, ...]) -> Program:
    """A node's metadata service, `testing.services.imds`; endpoints as `169.254.169.254:80`, `[fd00:ec2::254]:80`."""
    return Program(
        name="imds",
        argv=(sys.executable, "-I", str(IMDS_SCRIPT), str(credentials_file), *endpoints),
        ready=r"serving on (\S+(?: \S+)*)",
        remedy="give each address to an interface first, and run as root of the network namespace for port 80",
    )


@contextmanager
def imds(
    directory: Path, credentials_file: Path, endpoints: tuple[str, ...], popen: Popen = subprocess.Popen
) -> Iterator[tuple[str, ...]]:
    """Run a node's metadata service; give the endpoints with their real ports."""
    with running(build_imds_program(credentials_file, endpoints), directory, popen) as match:
        yield tuple(match[1].split())
