"""The entry point: reads the configuration, binds the sockets, starts the first fetch, then loads the server.

The order makes a pod start fast: the first fetch runs while the server is imported.
"""

from contract.termination import exit_on_signals
from sidecar.errors import TERMINATED

if __name__ == "__main__":
    exit_on_signals(TERMINATED)

import os
import sys
import time
from contextlib import suppress

import contract
from server.descriptors import TooFewFilesError, raise_limit
from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.refresher import CredentialRefresher, draw_jitter
from sidecar.credentials.schedule import Failure, State, initial_state
from sidecar.credentials.state_file import SavedState, StateFile
from sidecar.errors import SidecarError, StartError
from sidecar.listeners import bind_loopback
from sidecar.log import emit, log_fatal, set_up_log
from sidecar.sts.process import StsProcess
from sidecar.time_format import format_time


def main() -> None:
    """Run until a signal, or exit with a message on standard error and the error's exit code."""
    set_up_log()
    try:
        raise_file_limit()
        config = Config.from_environ(os.environ)
        started_file = prepare_run_directory(config)
        listeners = bind_loopback(config.port)
    except SidecarError as error:
        log_fatal(error)
        sys.exit(error.exit_code)
    refresher, token_key = start_refreshing(config)
    from sidecar.server import Server  # noqa: PLC0415 - it loads while the first fetch runs

    Server(config, listeners, started_file, refresher, token_key).run()


def raise_file_limit() -> None:
    """Allow as many open files as clients can need; raise StartError if that is not enough for any."""
    try:
        raise_limit()
    except TooFewFilesError as error:
        raise StartError(str(error)) from error


def start_refreshing(config: Config) -> tuple[CredentialRefresher, bytes]:
    """Restore the state that an earlier process of this pod saved, or start the first fetch; return the token key too.

    With restored credentials STS is not called before the next refresh is due: a crash loop must not flood STS.
    """
    state_file = StateFile.for_config(config)
    saved = state_file.load_or_create()
    now = time.time()
    restored = saved.credentials and saved.credentials.obtained_by(now).limit(config.session_duration_seconds)
    state = initial_state(restored, now, draw_jitter())
    sts_process = StsProcess(os.environ)
    if state.refresh_at <= now:
        sts_process.prefetch()
    if state.credentials:
        expires, next_refresh = format_time(state.credentials.expires_at), format_time(state.refresh_at)
        emit("restored", expires=expires, next_refresh=next_refresh)

    def save(outcome: Credentials | Failure, _state: State) -> None:
        if isinstance(outcome, Credentials):
            state_file.save(SavedState(saved.token_key, outcome))

    return CredentialRefresher(sts_process, state, [save]), saved.token_key


def prepare_run_directory(config: Config) -> str:
    """Create the run directory with mode 0700, delete an old started file in it, and return that file's path."""
    path = config.run_directory
    shown = path.replace(config.pod_uid, "<uid>")  # the uid is the end of the credential path
    started_file = f"{path}/{contract.STARTED_FILE}"
    try:
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)
        status = os.lstat(path)
        if status.st_uid != os.geteuid() or status.st_mode & 0o777 != 0o700:  # noqa: PLR2004 - as chmod writes it
            message = f"{contract.ENV_RUN_DIRECTORY}: {shown} must be a directory of user {os.geteuid()} with mode 0700"
            raise StartError(message)
        with suppress(FileNotFoundError):
            os.unlink(started_file)
    except OSError as error:
        raise StartError(f"{contract.ENV_RUN_DIRECTORY} cannot be used: {shown}: {error.strerror}") from error
    return started_file


if __name__ == "__main__":
    main()
