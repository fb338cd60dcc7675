"""The app in its server, and the threads beside it; the moment when the sidecar is started."""

import os
import secrets
import socket
import sys
import threading
from pathlib import Path

import contract
from server.connection import Service
from server.loop import Loop
from sidecar.config import Config
from sidecar.credentials.refresher import CredentialRefresher
from sidecar.endpoints.app import AppState, create_app
from sidecar.errors import TERMINATED, RedirectError, StartError
from sidecar.log import emit, log_fatal
from sidecar.post_start import read_start_time
from sidecar.redirect.self_check import prove_redirect

FIRST_ANSWER_SECONDS = 10
"""How long a start waits for STS's first answer. A mesh proxy that starts later may be the only way to it."""

BODY_BYTES = 1024
"""No request for metadata has a body that matters; curl may send one."""

SETTINGS = {
    "keepalive": 2,  # seconds
    "graceful_timeout": 5,  # seconds
    "worker_connections": 512,  # each may hold 17 KiB of an unfinished request; the oldest makes room
    "worker_tmp_dir": contract.SHARED_MEMORY,  # the root file system is read-only
    "limit_request_fields": 50,
    "loglevel": "warning",
}
"""https://docs.gunicorn.org/en/stable/settings.html"""


class Server:
    """One process, which serves, refreshes and proves. In a pod the kubelet starts it again when it ends."""

    def __init__(
        self,
        config: Config,
        listeners: list[socket.socket],
        started: Path,
        refresher: CredentialRefresher,
        token_key: bytes,
    ) -> None:
        self._config = config
        self._listeners = listeners
        self._started = started
        self._boot_id = secrets.token_hex(16)
        self._token_key = token_key
        self._refresher = refresher

    def run(self) -> None:
        """Serve until a signal. An end before the start is a failure, also when it was asked for."""
        served = AppState(self._config, lambda: self._refresher.state, self._token_key, self._boot_id)
        self._refresher.observers.append(lambda outcome, _state: served.counters.count_refresh(outcome))
        if self._config.metrics_port is not None:
            from sidecar.endpoints.metrics import create_metrics_app, serve_metrics  # noqa: PLC0415 - memory only where it is on

            try:
                serve_metrics(create_metrics_app(served.counters, served.seconds_left), self._config.metrics_port)
            except StartError as error:
                log_fatal(error)
                sys.exit(error.exit_code)
        service = Service(create_app(served), BODY_BYTES)
        loop = Loop(dict.fromkeys(self._listeners, service), SETTINGS)
        threading.excepthook = _end_process
        for target in (self._refresher.run, self._announce):
            threading.Thread(target=target, name=target.__name__, daemon=True).start()
        loop.init_process()
        if not self._started.exists():
            sys.exit(TERMINATED)

    def _announce(self) -> None:
        """Write the started file once apps can rely on this sidecar: the redirect holds, STS has had its say."""
        if self._config.mode == contract.MODE_REDIRECT:
            try:
                prove_redirect(self._boot_id, self._config.port, self._config.redirected_addresses)
            except RedirectError as error:
                log_fatal(error)
                os._exit(error.exit_code)
        answered = self._refresher.answered.wait(FIRST_ANSWER_SECONDS)
        pid = os.getpid()
        try:
            self._started.write_text(f"{pid} {read_start_time(pid)}", encoding="ascii")
        except OSError as error:  # the pod's own containers share this memory, and may have filled it
            log_fatal(StartError(f"{self._started} cannot be written: {error.strerror}"))
            os._exit(StartError.exit_code)
        emit("started", mode=self._config.mode, role=self._config.role_arn, answered=answered)


def _end_process(failure: threading.ExceptHookArgs) -> None:
    """A thread that died would leave a server that never refreshes: end, and be started again."""
    sys.__excepthook__(failure.exc_type, failure.exc_value or failure.exc_type(), failure.exc_traceback)
    os._exit(1)
