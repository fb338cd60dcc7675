"""The event loop: accepts connections, reads requests, calls the app, sends responses.

It uses internals of gunicorn, so it refuses to start with another version.
"""

import gc
import os
import queue
import resource
import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import gunicorn
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker

from server.connection import Connection, Service
from server.request_buffer import TooLargeError
from server.wsgi import RequestOptions, Response, WouldBlock, build_error_response, handle_request

GUNICORN_VERSION = "27.0."
"""The version that this module was tested with."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
POLL_SECONDS = 1
"""How often deadlines are checked."""

SHUTDOWN_POLL_SECONDS = 0.05
"""The same after SIGTERM."""

MAX_ACCEPTS = 64
"""Connections accepted at once, so that a flood of new clients does not block the accepted ones."""

RESERVED_FILES = 64
"""File descriptors for other uses than clients: listeners, child processes, the app's files."""


class Loop(Worker):  # type: ignore[misc] # gunicorn has no types
    """A gunicorn worker that runs in the main process.

    It has no arbiter: in a pod the kubelet restarts the container, and one process less saves 7 MiB.
    """

    def __init__(
        self, services: Mapping[socket.socket, Service], settings: Mapping[str, object], linger_seconds: float = 0
    ) -> None:
        """Configure it with a service for each listener and with gunicorn's settings.

        https://docs.gunicorn.org/en/stable/settings.html
        """
        if not gunicorn.__version__.startswith(GUNICORN_VERSION):
            sys.exit(f"podrole: gunicorn {gunicorn.__version__} is not supported, server/ needs {GUNICORN_VERSION}x")
        config = Config()
        for name, value in settings.items():
            config.set(name, value)
        super().__init__(1, os.getppid(), list(services), None, config.timeout, config, Logger(config))
        self._services = services
        self._linger_seconds = linger_seconds
        """How long clients can still use kept-alive connections after SIGTERM."""

        self._max_connections = min(
            config.worker_connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVED_FILES
        )
        self._selector = selectors.DefaultSelector()
        self._connections: dict[Connection, None] = {}
        """All clients, oldest first."""

        self._ready: deque[Connection] = deque()
        """Connections to continue in the next turn without a new event."""

        self._finished: queue.SimpleQueue[tuple[Connection, Response]] = queue.SimpleQueue()
        self._next_check = 0.0
        self._threads = ThreadPoolExecutor(config.threads, "request")  # starts threads on demand

    def load_wsgi(self) -> None:
        """Do nothing: each listener already has its app."""

    def run(self) -> None:
        """Serve until SIGTERM, then finish the requests that have begun."""
        self._selector.register(self.PIPE[0], selectors.EVENT_READ, self._wake)
        for listener, service in self._services.items():
            listener.settimeout(0)
            self._selector.register(listener, selectors.EVENT_READ, partial(self._accept, listener, service))
        gc.freeze()  # imported modules are never freed: collecting them takes milliseconds
        while self.alive:
            self._run_once(POLL_SECONDS)
        self._shut_down()

    def _run_once(self, timeout_seconds: float) -> None:
        for key, events in self._selector.select(0 if self._ready else timeout_seconds):
            if isinstance(key.data, Connection):
                self._on_event(key.data, events)
            else:
                key.data()
        for _ in range(len(self._ready)):
            self._advance(self._ready.popleft())
        now = time.monotonic()
        if now >= self._next_check:
            self._next_check = now + POLL_SECONDS
            self._drop([connection for connection in self._connections if now >= connection.deadline])

    def _accept(self, listener: socket.socket, service: Service) -> None:
        for _ in range(MAX_ACCEPTS):
            if len(self._connections) >= self._max_connections and not self._drop_oldest():
                return
            try:
                accepted, client = listener.accept()
            except OSError:  # no connection is waiting, or this one was closed
                return
            try:
                connection = Connection(accepted, client[:2], listener.getsockname()[:2], service)
            except Exception:
                # The client is gone, or no certificate is loaded yet. At debug level: clients could flood the log.
                self.log.debug("Cannot serve a connection", exc_info=True)
                accepted.close()
                continue
            self._connections[connection] = None
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
            self._on_event(connection, selectors.EVENT_READ)  # most clients have sent their request by now

    def _on_event(self, connection: Connection, events: int) -> None:
        if connection not in self._connections:  # closed earlier in this turn
            return
        try:
            if events & selectors.EVENT_WRITE:
                connection.send()
                if not connection.unsent:
                    self._selector.modify(connection.socket, selectors.EVENT_READ, connection)
            else:
                connection.receive()
        except OSError:
            self._drop([connection])
        else:
            self._advance(connection)

    def _advance(self, connection: Connection) -> None:
        """Do the next step for a connection, depending on its state."""
        if connection not in self._connections:
            return
        try:
            if connection.unsent:
                self._selector.modify(connection.socket, selectors.EVENT_WRITE, connection)
            elif not connection.is_closing:
                self._next_request(connection)
            elif connection.can_close():
                self._drop([connection])
        except OSError:
            self._drop([connection])

    def _next_request(self, connection: Connection) -> None:
        try:
            request = connection.received.take_request()
        except TooLargeError as error:
            self._reply(connection, build_error_response(error.status))
            return
        if request:
            self._handle(connection, request)
        elif connection.is_eof:
            self._drop([connection])
        elif connection.received.expects_continue():
            connection.send(CONTINUE)

    def _handle(self, connection: Connection, request: bytes) -> None:
        try:
            response = self._call_app(connection, request, may_block=False)
        except WouldBlock:
            connection.start_response()
            self._selector.unregister(connection.socket)
            self._threads.submit(self._handle_in_thread, connection, request)
        else:
            self._reply(connection, response)

    def _call_app(self, connection: Connection, request: bytes, *, may_block: bool) -> Response:
        options = RequestOptions(may_block, is_last=not self.alive)
        return handle_request(request, connection, self.cfg, self.log, options)

    def _handle_in_thread(self, connection: Connection, request: bytes) -> None:
        try:
            response = self._call_app(connection, request, may_block=True)
        except WouldBlock:
            response = build_error_response(500)
        with suppress(OSError):  # the loop will see the same error
            self._send(connection, response)
        self._finished.put((connection, response))
        with suppress(BlockingIOError):  # a full pipe wakes the loop too
            os.write(self.PIPE[1], b".")

    def _wake(self) -> None:
        os.read(self.PIPE[0], 4096)
        with suppress(queue.Empty):
            while True:
                connection, response = self._finished.get_nowait()
                self._selector.register(connection.socket, selectors.EVENT_READ, connection)
                self._end_response(connection, response)

    def _reply(self, connection: Connection, response: Response) -> None:
        self._send(connection, response)
        self._end_response(connection, response)

    def _send(self, connection: Connection, response: Response) -> None:
        try:
            connection.send(response.data)
        finally:
            try:
                response.close()
            except Exception:
                self.log.exception("The app failed after its response")

    def _end_response(self, connection: Connection, response: Response) -> None:
        connection.end_response(self.cfg.keepalive, keeps_alive=response.keeps_alive)
        if connection.unsent or connection.is_closing or len(connection.received) or connection.is_eof:
            self._ready.append(connection)

    def _drop_oldest(self) -> bool:
        """Close the connection that has waited longest: it is the least likely to send a request."""
        oldest = next((connection for connection in self._connections if not connection.is_busy), None)
        if oldest:
            self._drop([oldest])
        return oldest is not None

    def _drop(self, connections: list[Connection]) -> None:
        for connection in connections:
            del self._connections[connection]
            self._selector.unregister(connection.socket)
            connection.close()

    def _shut_down(self) -> None:
        for listener in self._services:
            self._selector.unregister(listener)
            listener.close()
        now = time.monotonic()
        linger, deadline = now + self._linger_seconds, now + self.cfg.graceful_timeout
        while self._connections and time.monotonic() < deadline:
            if time.monotonic() >= linger:
                self._drop([connection for connection in self._connections if connection.is_idle])
            self._run_once(SHUTDOWN_POLL_SECONDS)
        self._threads.shutdown(wait=False, cancel_futures=True)
