"""gunicorn around the app: the settings, the worker's threads, and the moment when the sidecar is started."""

import os
import secrets
import socket
import sys
import threading
from pathlib import Path

from flask import Flask
from gunicorn.app.base import Application
from gunicorn.workers.base import Worker

import contract
from sidecar import child, tokens
from sidecar.app import Served, create_app
from sidecar.background import Background
from sidecar.config import Config
from sidecar.credentials import Credentials
from sidecar.errors import TERMINATED, RedirectError
from sidecar.events import complain, emit
from sidecar.refresh import Failure
from sidecar.selfdial import prove_redirect
from sidecar.wait import read_start_time

FIRST_ANSWER_SECONDS = 10
"""How long a start waits for STS's first answer. A mesh proxy that starts later may be the only way to it."""


class Server(Application):  # type: ignore[misc] # gunicorn has no types
    """One arbiter and one worker, which serves, refreshes and proves."""

    def __init__(self, config: Config, listeners: list[socket.socket], started: Path, first: child.Child) -> None:
        self._config = config
        self._listeners = listeners
        self._started = started
        self._first: child.Child | None = first
        self._boot_id = secrets.token_hex(16)
        self._token_key = secrets.token_bytes(tokens.KEY_BYTES)
        self._background = Background(self._fetch)
        super().__init__()

    def load_config(self) -> None:
        """Take the settings file, and add what depends on this pod."""
        self.load_config_from_file(str(Path(__file__).with_name("gunicorn.conf.py")))
        self.cfg.set("bind", [f"fd://{listener.detach()}" for listener in self._listeners])
        self.cfg.set("post_worker_init", self._start_threads)

    def load(self) -> Flask:
        """Make the app, once, before the worker is forked."""
        return create_app(Served(self._config, lambda: self._background.state, self._token_key, self._boot_id))

    def run(self) -> None:
        """Serve until a signal. An end before the start is a failure, also when it was asked for."""
        arbiter = os.getpid()
        try:
            super().run()
        except SystemExit as end:
            if os.getpid() == arbiter and not end.code and not self._started.exists():
                sys.exit(TERMINATED)
            raise

    def _start_threads(self, worker: Worker) -> None:
        if worker.age > 1:  # a successor of a worker that died: the first fetch has been used up
            self._first = None
        threading.excepthook = _end_worker
        for target in (self._background.run, self._announce):
            threading.Thread(target=target, name=target.__name__, daemon=True).start()

    def _fetch(self) -> Credentials | Failure:
        running, self._first = self._first or child.spawn(os.environ), None
        return child.collect(running, self._config)

    def _announce(self) -> None:
        """Write the started file once apps can rely on this sidecar: the redirect holds, STS has had its say."""
        if self._config.mode == contract.MODE_REDIRECT:
            try:
                prove_redirect(self._boot_id, self._config.port)
            except RedirectError as error:
                complain(error)
                os._exit(error.exit_code)
        answered = self._background.answered.wait(FIRST_ANSWER_SECONDS)
        arbiter = os.getppid()
        self._started.write_text(f"{arbiter} {read_start_time(arbiter)}", encoding="ascii")
        emit("started", mode=self._config.mode, role=self._config.role_arn, answered=answered)


def _end_worker(failure: threading.ExceptHookArgs) -> None:
    """A thread that died would leave a server that never refreshes: end the worker, the arbiter makes a new one."""
    sys.__excepthook__(failure.exc_type, failure.exc_value or failure.exc_type(), failure.exc_traceback)
    os._exit(1)
