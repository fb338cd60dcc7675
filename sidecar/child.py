"""Runs `sidecar.fetch` in a process of its own: spawn, wait until a deadline, kill, parse. No SDK is imported here."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.config import Config
from sidecar.credentials import Credentials
from sidecar.refresh import Failure

DEADLINE_SECONDS = 30
OUTPUT_LONGEST_BYTES = 64 * 1024

KEPT_VARIABLES = ("PATH", "PYTHONPATH", "LANG")
AWS_VARIABLES = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    # Or the child would look for credentials at the address that leads back to this server.
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class Child:
    """A running fetch. Its descriptors survive a fork: another process than the one that spawned it may wait for it."""

    process: subprocess.Popen[bytes]
    pidfd: int
    """Kills this child and never another one that got its number."""


def spawn(environ: Mapping[str, str]) -> Child:
    """Start a fetch with no more environment than it needs: nobody's AWS_* variable changes what it asks."""
    kept = {key: value for key, value in environ.items() if key in KEPT_VARIABLES or key.startswith("PODROLE_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "sidecar.fetch"],
        env=kept | AWS_VARIABLES,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    return Child(process, os.pidfd_open(process.pid))


def collect(child: Child, config: Config, deadline_seconds: float = DEADLINE_SECONDS) -> Credentials | Failure:
    """Wait for a fetch to end; at the deadline end it."""
    if child.process.stdout is None:  # spawn() always opens it
        raise AssertionError
    with child.process.stdout as output:
        written = _read_until(output.fileno(), time.monotonic() + deadline_seconds)
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)
    os.close(child.pidfd)
    child.process.wait()
    if written is None:
        message = f"STS gave no answer within {deadline_seconds:g} s; the attempt was ended."
        return Failure("Timeout", message, is_final=False)
    return parse_outcome(written, config, int(time.time()))


def parse_outcome(written: bytes, config: Config, now: int) -> Credentials | Failure:
    """Take a child's line for what it is; anything but the one or the other form is a failure of the child."""
    try:
        fields = json.loads(written)
        if "code" in fields:
            return Failure(**fields)
        return Credentials(role_arn=config.role_arn, obtained_at=now, **fields)
    except (ValueError, TypeError):
        message = "The attempt ended without an outcome; what it said stands in the sidecar's log."
        return Failure("ChildFailed", message, is_final=False)


def _read_until(descriptor: int, deadline: float) -> bytes | None:
    """Read to the end of the file, or return None if that does not come in time (monotonic clock)."""
    written = b""
    while len(written) <= OUTPUT_LONGEST_BYTES:
        ready, _, _ = select.select([descriptor], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return None
        piece = os.read(descriptor, OUTPUT_LONGEST_BYTES)
        if not piece:
            break
        written += piece
    return written
