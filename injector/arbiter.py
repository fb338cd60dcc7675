"""The parent process: binds the ports, runs gunicorn's arbiter, which starts one worker and replaces it when it ends.

It stays small: what only a worker needs is imported there (`injector.services`).
"""

import errno
import gc
import mmap
import os
import signal
import socket
import sys
import time
from types import FrameType
from typing import NamedTuple

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

import contract
from contract.text import escape
from injector.config import Config
from injector.deadlines import WORKER_GRACEFUL_SECONDS, WORKER_SECONDS
from injector.errors import ConfigError
from injector.restarts import Restarts
from injector.worker import InjectorWorker
from server.background import PROCESS_LIMIT
from server.log_stream import drain_log

BACKLOG = 1024

SETTINGS = {
    "workers": 1,
    "worker_class": InjectorWorker,
    "timeout": WORKER_SECONDS,
    "graceful_timeout": WORKER_GRACEFUL_SECONDS,
    "worker_tmp_dir": contract.SHARED_MEMORY,  # the root file system is read-only
    "control_socket_disable": True,
    "logconfig_dict": {  # gunicorn's warnings and errors go to our log
        "root": {},
        "handlers": {},
        "formatters": {},
        "loggers": {"gunicorn.error": {"level": "WARNING", "propagate": True}},
    },
}
"""https://docs.gunicorn.org/en/stable/settings.html"""


WORKER_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
"""What the arbiter sends to a worker, and what a terminal sends to both."""


class Ports(NamedTuple):
    """The ports that are bound."""

    health: int
    webhook: int


class LoggingArbiter(Arbiter):  # type: ignore[misc] # gunicorn has no types
    """gunicorn's arbiter, with a sentence where no worker can be started."""

    def spawn_worker(self) -> int:
        """Start a worker; exit if that is not possible, so that clients are refused at once instead of waiting."""
        try:
            pid: int = super().spawn_worker()
        except OSError as error:
            reason = PROCESS_LIMIT if error.errno == errno.EAGAIN else str(error)
            sys.stderr.write(escape(f"podrole-injector: no worker can be started: {reason}\n"))
            sys.exit(ConfigError.exit_code)
        return pid

    def manage_workers(self) -> None:
        """Start and end workers, about once a second: what is queued of the log is written, too."""
        super().manage_workers()
        drain_log()


class Application(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    """The injector as an application of gunicorn: https://docs.gunicorn.org/en/stable/custom.html."""

    def __init__(self, config: Config) -> None:
        """Bind both ports; raise ConfigError if that fails."""
        self.config = config
        listeners = bind(config, config.health_port), bind(config, config.webhook_port)
        self.ports = Ports(*(listener.getsockname()[1] for listener in listeners))
        self._descriptors = [listener.detach() for listener in listeners]
        self.starts = 0
        """How many workers were started."""

        self._restarts = Restarts()
        self._delay_seconds = 0.0
        self._exit_code = mmap.mmap(-1, 1)
        """Memory that the worker shares: not 0 if it asks the arbiter to exit."""
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's settings. Nothing is read from its files, its environment variables or the command line."""
        hooks = {"pre_fork": self._pre_fork, "post_fork": self._post_fork, "child_exit": self._child_exit}
        binds = {"bind": [f"fd://{descriptor}" for descriptor in self._descriptors]}
        for name, value in (SETTINGS | hooks | binds).items():
            self.cfg.set(name, value)

    def load(self) -> None:
        """Nothing: each listener has its own service (`InjectorWorker.build_services`)."""

    def run(self) -> None:
        """Run the arbiter until a signal ends it."""
        LoggingArbiter(self).run()

    def exit_with(self, code: int) -> None:
        """Have the arbiter exit with this code when the calling worker has ended, instead of starting another one."""
        self._exit_code[0] = code

    def _pre_fork(self, _arbiter: object, _worker: object) -> None:
        self.starts += 1
        gc.freeze()  # a collection in the worker would copy the pages that it shares with the arbiter
        self._delay_seconds = self._restarts.next_delay(time.monotonic())

    def _post_fork(self, _arbiter: object, _worker: object) -> None:
        """Wait in the worker, so that the arbiter reacts to signals meanwhile."""
        time.sleep(self._delay_seconds)

    def _child_exit(self, _arbiter: object, _worker: object) -> None:
        if code := self._exit_code[0]:
            sys.exit(code)


def bind(config: Config, port: int) -> socket.socket:
    """Listen on the configured address, or on all IPv4 and IPv6 addresses; raise ConfigError if that fails."""
    host = config.webhook_host or ("::" if socket.has_dualstack_ipv6() else "0.0.0.0")  # noqa: S104 - called from outside
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=host == "::")
    except OSError as error:
        raise ConfigError(f"cannot listen on {host} port {port}: {error.strerror}") from error


def end_new_workers_on_signals() -> None:
    """Have a worker end on a signal until it sets its own handlers: the arbiter's, which it inherits, do nothing in it.

    Signals wait during the fork, so that none meets the arbiter's handlers in the worker.
    """
    os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_handle_in_worker)


def _block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, WORKER_SIGNALS)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, WORKER_SIGNALS)


def _handle_in_worker() -> None:
    for number in WORKER_SIGNALS:
        signal.signal(number, _exit)
    _unblock()


def _exit(_signal: int, _frame: FrameType | None) -> None:
    os._exit(0)
