"""The entry point: reads the configuration, binds the sockets, starts the first fetch, then loads the server.

The order makes a pod start fast: the first fetch runs while the server is imported.
"""

import signal

from contract.termination import block_unsupported_signals, exit_on_signals
from sidecar.errors import TERMINATED

if __name__ == "__main__":
    exit_on_signals(TERMINATED)
    block_unsupported_signals(signal.SIGQUIT)

import os
import sys
import time

from server.descriptors import TooFewFilesError, raise_limit
from sidecar.config import Config, list_ignored
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.refresher import CredentialRefresher, draw_jitter, log_ignored_times
from sidecar.credentials.schedule import Failure, State, initial_state
from sidecar.credentials.state_file import StateFile
from sidecar.credentials.state_saver import StateSaver
from sidecar.errors import SidecarError, StartError
from sidecar.listeners import bind_loopback
from sidecar.log import emit, log_fatal, set_up_log
from sidecar.run_directory import prepare_run_directory
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
    if names := list_ignored(os.environ):
        emit("settings-ignored", names=names)
    refresher, saver = start_refreshing(config)
    from sidecar.server import Server  # noqa: PLC0415 - it loads while the first fetch runs

    Server(config, listeners, started_file, refresher, saver).run()


def raise_file_limit() -> None:
    """Allow as many open files as clients can need; raise StartError if that is not enough for any."""
    try:
        raise_limit()
    except TooFewFilesError as error:
        raise StartError(str(error)) from error


def start_refreshing(config: Config) -> tuple[CredentialRefresher, StateSaver]:
    """Restore the state that an earlier process of this pod saved, or start the first fetch.

    With restored credentials STS is not called before the next refresh is due: a crash loop must not flood STS.
    """
    saver = StateSaver(StateFile.for_config(config))
    now = time.time()
    saved = saver.restored.credentials
    restored = saved and saved.obtained_by(now).limit(config.session_duration_seconds)
    state = initial_state(restored, now, draw_jitter())
    sts_process = StsProcess(os.environ)
    if state.refresh_at <= now:
        sts_process.prefetch()
    if state.credentials:
        expires, next_refresh = format_time(state.credentials.expires_at), format_time(state.refresh_at)
        emit("restored", expires=expires, next_refresh=next_refresh)
        log_ignored_times(saved, state.credentials)

    def save(outcome: Credentials | Failure, _state: State) -> None:
        if isinstance(outcome, Credentials):
            saver.save(outcome)

    return CredentialRefresher(sts_process, state, [save]), saver


if __name__ == "__main__":
    main()
