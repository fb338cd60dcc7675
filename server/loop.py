"""The loop: accepts, collects, hands whole requests to the app, sends. It waits for all clients and for none.

Built on parts of gunicorn that are not its public interface, so another version of it ends the start with a sentence.
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
from server.request_buffer import TooLong
from server.wsgi import RequestOptions, Response, WouldBlock, answer, build_refusal

GUNICORN = "27.0."
"""The version whose parts this was written and tested with."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
POLL_SECONDS = 1
"""How often deadlines are looked at."""

FINISH_SECONDS = 0.05
"""How often they are after SIGTERM."""

ACCEPTED_AT_ONCE = 64
"""So that a flood of new clients does not keep the accepted ones waiting."""

RESERVED_FILES = 64
"""File descriptors that are not for clients: listeners, children, what the app reads."""


class Loop(Worker):  # type: ignore[misc] # gunicorn has no types
    """A gunicorn worker that serves in the process it is made in.

    There is no arbiter: in a pod the kubelet starts again what has ended, and one process less is 7 MiB less.
    """

    def __init__(
        self, services: Mapping[socket.socket, Service], settings: Mapping[str, object], linger_seconds: float = 0
    ) -> None:
        """Make it out of what is behind each listener and gunicorn's settings.

        https://docs.gunicorn.org/en/stable/settings.html
        """
        if not gunicorn.__version__.startswith(GUNICORN):
            sys.exit(f"podrole: gunicorn is {gunicorn.__version__}, but server/ is made for {GUNICORN}x: see its tests")
        config = Config()
        for name, value in settings.items():
            config.set(name, value)
        super().__init__(1, os.getppid(), list(services), None, config.timeout, config, Logger(config))
        self._services = services
        self._linger_seconds = linger_seconds
        """How long kept-alive clients may still use their connections after SIGTERM."""

        self._max_connections = min(
            config.worker_connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVED_FILES
        )
        self._selector = selectors.DefaultSelector()
        self._connections: dict[Connection, None] = {}
        """All clients, the oldest first."""

        self._unfinished: deque[Connection] = deque()
        """Those that have sent more than the one request that was answered in this turn."""

        self._answered: queue.SimpleQueue[tuple[Connection, Response]] = queue.SimpleQueue()
        self._next_look = 0.0
        self._threads = ThreadPoolExecutor(config.threads, "answer")  # starts none before there is work

    def load_wsgi(self) -> None:
        """Nothing to load: each listener came with its app."""

    def run(self) -> None:
        """Serve until SIGTERM, then answer what has begun."""
        self._selector.register(self.PIPE[0], selectors.EVENT_READ, self._wake)
        for listener, service in self._services.items():
            listener.settimeout(0)
            self._selector.register(listener, selectors.EVENT_READ, partial(self._accept, listener, service))
        gc.freeze()  # what was imported lives as long as the process: searching it for rubbish takes milliseconds
        while self.alive:
            self._turn(POLL_SECONDS)
        self._finish()

    def _turn(self, longest_seconds: float) -> None:
        for key, events in self._selector.select(0 if self._unfinished else longest_seconds):
            if isinstance(key.data, Connection):
                self._on_event(key.data, events)
            else:
                key.data()
        for _ in range(len(self._unfinished)):
            self._advance(self._unfinished.popleft())
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + POLL_SECONDS
            self._drop([connection for connection in self._connections if now >= connection.deadline])

    def _accept(self, listener: socket.socket, service: Service) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            if len(self._connections) >= self._max_connections and not self._drop_oldest():
                return
            try:
                accepted, client = listener.accept()
            except OSError:  # none is left, or this one is gone again
                return
            try:
                connection = Connection(accepted, client[:2], listener.getsockname()[:2], service)
            except Exception:
                # It is gone, or there is no certificate for it: then each client that comes would be a line.
                self.log.debug("A connection could not be served", exc_info=True)
                accepted.close()
                continue
            self._connections[connection] = None
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
            self._on_event(connection, selectors.EVENT_READ)  # most have sent their request by now

    def _on_event(self, connection: Connection, events: int) -> None:
        if connection not in self._connections:  # dropped earlier in this turn
            return
        try:
            if events & selectors.EVENT_WRITE:
                connection.send()
                if not connection.outbox:
                    self._selector.modify(connection.socket, selectors.EVENT_READ, connection)
            else:
                connection.receive()
        except OSError:
            self._drop([connection])
        else:
            self._advance(connection)

    def _advance(self, connection: Connection) -> None:
        """Do the next thing that this client's state asks for."""
        if connection not in self._connections:
            return
        try:
            if connection.outbox:
                self._selector.modify(connection.socket, selectors.EVENT_WRITE, connection)
            elif not connection.is_closing:
                self._next_request(connection)
            elif connection.can_close():
                self._drop([connection])
        except OSError:
            self._drop([connection])

    def _next_request(self, connection: Connection) -> None:
        try:
            request = connection.inbox.take_request()
        except TooLong as error:
            self._reply(connection, build_refusal(error.status))
            return
        if request:
            self._serve(connection, request)
        elif connection.has_ended:
            self._drop([connection])
        elif connection.inbox.expects_continue():
            connection.send(CONTINUE)

    def _serve(self, connection: Connection, request: bytes) -> None:
        try:
            answered = self._answer(connection, request, may_block=False)
        except WouldBlock:
            connection.start_answer()
            self._selector.unregister(connection.socket)
            self._threads.submit(self._answer_in_thread, connection, request)
        else:
            self._reply(connection, answered)

    def _answer(self, connection: Connection, request: bytes, *, may_block: bool) -> Response:
        return answer(request, connection, self.cfg, self.log, RequestOptions(may_block, closes=not self.alive))

    def _answer_in_thread(self, connection: Connection, request: bytes) -> None:
        try:
            answered = self._answer(connection, request, may_block=True)
        except WouldBlock:
            answered = build_refusal(500)
        with suppress(OSError):  # the loop will meet it as well
            self._send(connection, answered)
        self._answered.put((connection, answered))
        with suppress(BlockingIOError):  # a full pipe wakes the loop, too
            os.write(self.PIPE[1], b".")

    def _wake(self) -> None:
        os.read(self.PIPE[0], 4096)
        with suppress(queue.Empty):
            while True:
                connection, answered = self._answered.get_nowait()
                self._selector.register(connection.socket, selectors.EVENT_READ, connection)
                self._end_answer(connection, answered)

    def _reply(self, connection: Connection, answered: Response) -> None:
        self._send(connection, answered)
        self._end_answer(connection, answered)

    def _send(self, connection: Connection, answered: Response) -> None:
        try:
            connection.send(answered.data)
        finally:
            try:
                answered.close()
            except Exception:
                self.log.exception("The app failed, after its answer")

    def _end_answer(self, connection: Connection, answered: Response) -> None:
        connection.end_answer(self.cfg.keepalive, keeps_alive=answered.keeps_alive)
        if connection.outbox or connection.is_closing or len(connection.inbox) or connection.has_ended:
            self._unfinished.append(connection)

    def _drop_oldest(self) -> bool:
        """Make room: who has waited longest is the least likely to be a client that needs an answer."""
        oldest = next((connection for connection in self._connections if not connection.is_busy), None)
        if oldest:
            self._drop([oldest])
        return oldest is not None

    def _drop(self, connections: list[Connection]) -> None:
        for connection in connections:
            del self._connections[connection]
            self._selector.unregister(connection.socket)
            connection.close()

    def _finish(self) -> None:
        for listener in self._services:
            self._selector.unregister(listener)
            listener.close()
        now = time.monotonic()
        linger, deadline = now + self._linger_seconds, now + self.cfg.graceful_timeout
        while self._connections and time.monotonic() < deadline:
            if time.monotonic() >= linger:
                self._drop([connection for connection in self._connections if connection.is_idle])
            self._turn(FINISH_SECONDS)
        self._threads.shutdown(wait=False, cancel_futures=True)
