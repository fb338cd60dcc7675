"""The event loop as a worker class of gunicorn.

gunicorn's arbiter binds the listeners, starts this worker, and starts another one at once if it dies.
https://docs.gunicorn.org/en/stable/settings.html#worker-class
"""

import os
import socket
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import NoReturn

from gunicorn.workers.base import Worker

from server.listener import Service
from server.log_stream import drain_log, exit_process
from server.loop import Loop
from server.settings import Settings
from server.wsgi import WsgiHandler

MAX_BODY_BYTES = 1024 * 1024


class LoopWorker(Worker):  # type: ignore[misc] # gunicorn has no types
    """Serves the WSGI app on every listener. Subclasses can serve something else."""

    _loop: Loop | None = None

    def build_services(self, listeners: Sequence[socket.socket]) -> Mapping[socket.socket, Service]:
        """Return what each listener serves. It runs in the worker's process."""
        service = Service(WsgiHandler(self.wsgi), MAX_BODY_BYTES, self.cfg.worker_connections)
        return dict.fromkeys(listeners, service)

    def build_settings(self) -> Settings:
        """Return the server's limits."""
        return Settings(
            keepalive_seconds=self.cfg.keepalive,
            graceful_seconds=self.cfg.graceful_timeout,
            max_threads=self.cfg.threads,
        )

    def read_problems(self) -> Mapping[str, int]:
        """By reason: how often something went wrong in the server."""
        return self._loop.problems if self._loop else {}

    def log_problem(self, reason: str, count: int, detail: str) -> None:
        """Log what went wrong in the server."""
        self.log.error("%s (%d since the last line): %s", reason, count, detail)

    def run(self) -> NoReturn:
        """Serve until the arbiter stops this worker, or has died itself."""
        listeners = [socket.socket(fileno=os.dup(listener.fileno())) for listener in self.sockets]
        for inherited in self.sockets:
            inherited.close()  # while one is open, clients can connect
        services = self.build_services(listeners)
        self._loop = Loop(services, self.build_settings(), self.log_problem, self._on_tick)
        self.notify()  # before the first response: the arbiter replaces a worker that hangs only after its first call
        if self.alive:  # else it was stopped before the loop could be
            self._loop.run()
        exit_process(0)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop gracefully: the handler of SIGTERM. Before the loop exists nothing is served, so there is no grace."""
        super().handle_exit(sig, frame)
        if not self._loop:
            exit_process(0)
        self._loop.stop()

    def handle_quit(self, _sig: int, _frame: FrameType | None) -> None:
        """Stop at once: the handler of SIGQUIT and SIGINT. The handler of a request could catch SystemExit."""
        self.alive = False
        self.cfg.worker_int(self)
        exit_process(0)

    def _on_tick(self) -> None:
        self.notify()
        drain_log()
        if self.alive and self.ppid != os.getppid() and self._loop:
            self.alive = False  # logged once: the loop still calls this while it finishes requests
            self.log.error("the arbiter has died, so this worker stops")
            self._loop.stop()
