"""Runs `sidecar.sts` as a child process: starts it, waits until a deadline, kills it, parses its line.

This process imports no AWS SDK.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple, NoReturn

from server.log_stream import finish_log
from sidecar.config import VARIABLES
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import ATTEMPTS, Failure
from sidecar.deadlines import STS_CHILD_SECONDS
from sidecar.sockets import receive_all
from sidecar.sts.outcome import NO_OUTCOME, parse_outcome

MAX_OUTPUT_BYTES = 64 * 1024
STANDARD_DESCRIPTORS = (0, 1)
"""Input and output. A child inherits standard error, for its log."""

DESCRIPTORS_AT_START = 256
"""More than this process has when it starts the first child. It has about ten."""

PASSED_VARIABLES = (*VARIABLES, "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
"""The configuration, and where the code is. No proxy, CA or AWS_* variable is passed on."""

SET_VARIABLES = {
    # Without HOME the SDK would read the home directory in /etc/passwd. No directory can exist below a file.
    "HOME": os.devnull,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    # Without this the child would look for credentials at the metadata address, which leads back to this server.
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Child(NamedTuple):
    """A running fetch."""

    pid: int
    connection: socket.socket
    """Its standard input and output. Nothing is written: the child exits when it closes, as this process died."""


class StsProcess:
    """Calls STS in one child process after the other. Every error is returned as a Failure, none is raised."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._prefetched: Child | None = None

    def prefetch(self) -> None:
        """Start the first child, while the rest of this process is still loading."""
        start = fork if threading.active_count() == 1 else spawn
        with suppress(OSError):  # then the first call tries again and returns the error
            self._prefetched = start(self._environ)

    def __call__(self, attempts: int) -> Credentials | Failure:
        """Wait for the prefetched child, or for a new one."""
        child, self._prefetched = self._prefetched, None
        try:
            return wait_for_result(child or spawn(self._environ, attempts))
        except OSError as error:  # no processes, descriptors or memory left: transient
            return Failure("SpawnFailed", f"The attempt could not be started: {error.strerror}.", is_permanent=False)


def spawn(environ: Mapping[str, str], attempts: int = ATTEMPTS) -> Child:
    """Start a fetch in a new interpreter."""
    argv = [sys.executable, "-m", "sidecar.sts", str(attempts)]

    def start(connection: int) -> int:
        # All other descriptors of this process are closed on exec (PEP 446), the sockets of clients too.
        standard = [(os.POSIX_SPAWN_DUP2, connection, number) for number in STANDARD_DESCRIPTORS]
        return os.posix_spawn(sys.executable, argv, build_environment(environ), file_actions=standard)

    return _connect(start)


def fork(environ: Mapping[str, str], attempts: int = ATTEMPTS) -> Child:
    """Start a fetch in a copy of this process, which needs no new interpreter and no second import of most modules.

    Only while this process has one thread: the copy would have the locks of other threads without the threads.
    """
    return _connect(lambda connection: os.fork() or _run_in_copy(connection, environ, attempts))


def build_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return a minimal environment: AWS_* variables of the container do not affect a fetch."""
    return {key: environ[key] for key in PASSED_VARIABLES if key in environ} | SET_VARIABLES


def _connect(start: Callable[[int], int]) -> Child:
    """Start a process, by a function of the descriptor that is its standard input and output."""
    connection, its_end = socket.socketpair()
    with its_end:
        try:
            return Child(start(its_end.fileno()), connection)
        except OSError:
            connection.close()
            raise


def _run_in_copy(connection: int, environ: Mapping[str, str], attempts: int) -> NoReturn:
    try:
        for number in STANDARD_DESCRIPTORS:
            os.dup2(connection, number)
        os.closerange(3, DESCRIPTORS_AT_START)  # the listeners too
        environment = build_environment(environ)
        os.environ.clear()
        os.environ.update(environment)
        from sidecar.sts.__main__ import main  # noqa: PLC0415 - the resident process must not import it

        main(attempts)
    except Exception:  # noqa: BLE001 - it must not run on as a second sidecar
        sys.excepthook(*sys.exc_info())
        finish_log()
    finally:
        os._exit(1)


def wait_for_result(child: Child, deadline_seconds: float = STS_CHILD_SECONDS) -> Credentials | Failure:
    """Wait for a fetch to end; kill it at the deadline."""
    try:
        with child.connection:
            line = receive_all(child.connection, time.monotonic() + deadline_seconds, MAX_OUTPUT_BYTES)
    except TimeoutError:
        message = f"STS did not respond within {deadline_seconds:g} s; the attempt was aborted."
        return Failure("Timeout", message, is_permanent=False)
    except ValueError:
        return NO_OUTCOME
    finally:
        os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)
    return parse_outcome(line)
