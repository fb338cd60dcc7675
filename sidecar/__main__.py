"""The composition root: checks the surroundings, binds the sockets, starts the first fetch, hands over to the server.

The order is the speed of a pod's start: the first fetch runs while gunicorn and Flask are still being imported.
"""

import errno
import os
import random
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType

import contract
from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.refresher import CredentialRefresher
from sidecar.credentials.schedule import Failure, State, initial_state
from sidecar.credentials.state_file import SavedState, StateFile
from sidecar.errors import TERMINATED, SidecarError, StartError
from sidecar.log import emit, log_fatal
from sidecar.sts.process import StsProcess
from sidecar.time_format import format_time

LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
BACKLOG = 1024


def main() -> None:
    """Run until a signal, or end with a sentence on standard error and the exit code of its kind."""
    # As process 1 of a container this one has no default action for SIGTERM: without this it would be ignored.
    signal.signal(signal.SIGTERM, _terminate)
    try:
        config = Config.from_environ(os.environ)
        started = prepare_run_directory(config.run_directory)
        listeners = bind_loopback(config.port)
    except SidecarError as error:
        log_fatal(error)
        sys.exit(error.exit_code)
    refresher, token_key = begin_refreshing(config)
    from sidecar.server import Server  # noqa: PLC0415 - gunicorn and Flask load while the first fetch runs

    Server(config, listeners, started, refresher, token_key).run()


def begin_refreshing(config: Config) -> tuple[CredentialRefresher, bytes]:
    """Go on where an earlier process of this pod ended, or ask STS from here on; return the key of the tokens as well.

    STS is not asked before it is due: a container that is restarted again and again must not become a stream of calls.
    """
    state_file = StateFile.of(config)
    kept = state_file.open()
    now = time.time()
    state = initial_state(kept.credentials, now, random.random())  # noqa: S311 - spreads load
    sts_process = StsProcess(os.environ, config)
    if state.refresh_at <= now:
        sts_process.prefetch()
    if state.credentials:
        emit("resumed", expires=format_time(state.credentials.expires_at), next=format_time(state.refresh_at))

    def keep(outcome: Credentials | Failure, _state: State) -> None:
        if isinstance(outcome, Credentials):
            state_file.keep(SavedState(kept.token_key, outcome))

    return CredentialRefresher(sts_process, state, [keep]), kept.token_key


def prepare_run_directory(path: str) -> Path:
    """Make this boot's directory, closed to other users and without an older started file; return that file's path."""
    directory = Path(path)
    started = directory / contract.STARTED_FILE
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.stat(follow_symlinks=False)
        if found.st_uid != os.geteuid() or found.st_mode & 0o777 != 0o700:  # noqa: PLR2004 - as chmod writes it
            message = f"{contract.ENV_RUN_DIRECTORY}: {path} must be a directory of user {os.geteuid()} with mode 0700"
            raise StartError(message)
        started.unlink(missing_ok=True)
    except OSError as error:
        raise StartError(f"{contract.ENV_RUN_DIRECTORY} cannot be used: {error}") from error
    return started


def bind_loopback(port: int) -> list[socket.socket]:
    """Listen on 127.0.0.1 and, where the pod has IPv6, on ::1: nowhere that another pod could reach."""
    listeners = []
    for family, address in LOOPBACK:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            if family == socket.AF_INET6 and error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                continue
            remedy = "another process of the pod listens there" if error.errno == errno.EADDRINUSE else error.strerror
            raise StartError(f"cannot listen on {address} port {port}: {remedy}") from error
        listeners.append(listener)
    return listeners


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(TERMINATED)


if __name__ == "__main__":
    main()
