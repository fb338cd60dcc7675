"""Runs `sidecar.sts` in a process of its own: spawn, wait until a deadline, kill, parse. No SDK is imported here."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields

from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import ATTEMPTS, Failure
from sidecar.env_vars import VARIABLES

DEADLINE_SECONDS = 30
OUTPUT_LONGEST_BYTES = 64 * 1024

PASSED_VARIABLES = (*VARIABLES, "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
"""The configuration, and where the code is. No proxy, no authority and nothing of AWS's comes with them."""

SET_VARIABLES = {
    # Without a HOME the SDK would look into that of /etc/passwd. In a file nobody can make a directory.
    "HOME": os.devnull,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    # Or the child would look for credentials at the address that leads back to this server.
    "AWS_EC2_METADATA_DISABLED": "true",
}

Child = subprocess.Popen[bytes]
"""A running fetch. Its standard input is never written to: its end tells the child that this process has died."""

NO_OUTCOME = Failure(
    "ChildFailed", "The attempt ended without an outcome; what it said stands in the sidecar's log.", is_permanent=False
)


class StsProcess:
    """Asks STS by one child after the other. Whatever goes wrong is a failure, never an error."""

    def __init__(self, environ: Mapping[str, str], config: Config) -> None:
        self._environ = environ
        self._config = config
        self._ahead: Child | None = None

    def prefetch(self) -> None:
        """Let the first child run while the rest of this process is still being loaded."""
        with suppress(OSError):  # then the first call tries again, and says what is wrong
            self._ahead = spawn(self._environ)

    def __call__(self, attempts: int) -> Credentials | Failure:
        """Wait for the child that runs ahead, or for a new one."""
        running, self._ahead = self._ahead, None
        try:
            return wait_for_result(running or spawn(self._environ, attempts), self._config)
        except OSError as error:  # no processes, descriptors or memory: that may pass, and credentials live meanwhile
            return Failure("SpawnFailed", f"The attempt could not be started: {error.strerror}.", is_permanent=False)


def spawn(environ: Mapping[str, str], attempts: int = ATTEMPTS) -> Child:
    """Start a fetch with no more environment than it needs: nobody's AWS_* variable changes what it asks."""
    kept = {key: environ[key] for key in PASSED_VARIABLES if key in environ}
    return subprocess.Popen(
        [sys.executable, "-m", "sidecar.sts", str(attempts)],
        env=kept | SET_VARIABLES,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def wait_for_result(child: Child, config: Config, deadline_seconds: float = DEADLINE_SECONDS) -> Credentials | Failure:
    """Wait for a fetch to end; at the deadline end it."""
    if child.stdin is None or child.stdout is None:  # spawn() always opens them
        raise AssertionError
    with child.stdin, child.stdout as output:
        written = _read_until(output.fileno(), time.monotonic() + deadline_seconds)
        child.kill()
    child.wait()
    if written is None:
        message = f"STS gave no answer within {deadline_seconds:g} s; the attempt was ended."
        return Failure("Timeout", message, is_permanent=False)
    return parse_outcome(written, config, int(time.time()))


def parse_outcome(written: bytes, config: Config, now: int) -> Credentials | Failure:
    """Take a child's line for what it is; anything but the one or the other form is a failure of the child."""
    try:
        document = json.loads(written)
        if not isinstance(document, dict):
            return NO_OUTCOME
        if document.keys() == {field.name for field in fields(Failure)}:
            return Failure(**document)
        return Credentials.parse(document | {"role_arn": config.role_arn, "obtained_at": now})
    except ValueError:
        return NO_OUTCOME


def _read_until(descriptor: int, deadline: float) -> bytes | None:
    """Read to the end of the file, or return None if that does not come in time (monotonic clock)."""
    poll = select.poll()  # unlike select(), at home with descriptors above 1023: clients may hold that many
    poll.register(descriptor, select.POLLIN)
    written = b""
    while len(written) <= OUTPUT_LONGEST_BYTES:
        if not poll.poll(max(0, deadline - time.monotonic()) * 1000):
            return None
        piece = os.read(descriptor, OUTPUT_LONGEST_BYTES)
        if not piece:
            break
        written += piece
    return written
