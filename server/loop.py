"""The event loop: accepts connections, reads requests, calls handlers, sends responses.

Nothing that a client sends and no error of a handler ends it: whatever goes wrong closes one connection.
"""

import gc
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

from server.connection import Connection
from server.connections import Connections
from server.deadlines import EXHAUSTED_SECONDS, POLL_SECONDS, SHUTDOWN_POLL_SECONDS
from server.descriptors import EXHAUSTED, LoopStartError, describe_exhaustion
from server.dispatcher import Dispatcher, Exchange, Reply, Result
from server.listener import Listener, NoCertificateError, Service
from server.log_limit import LimitedLog, Log
from server.messages import Address
from server.responses import CONTINUE, serialize_error
from server.settings import Settings
from server.threads import ThreadPool

MAX_ACCEPTS = 64
"""Connections accepted at once, so that a flood of new clients does not block the accepted ones."""

MAX_READY = 64
"""Requests answered at once that had arrived behind others, so that pipelining does not delay new clients."""


class Loop:
    """Serves several listeners. Only `stop` can be called from another thread or a signal handler."""

    def __init__(
        self,
        services: Mapping[socket.socket, Service],
        settings: Settings,
        log: Log,
        on_tick: Callable[[], None] | None = None,
    ) -> None:
        """`on_tick` is called about once a second. Raise LoopStartError if the sockets cannot be watched."""
        self._settings = settings
        self._log = LimitedLog(log)
        self._on_tick = on_tick
        self._is_stopping = False
        self._listeners = [Listener(listening, service) for listening, service in services.items()]
        try:
            self._selector = selectors.DefaultSelector()
            self._wake_reader, self._wake_writer = socket.socketpair()
            for end in (self._wake_reader, self._wake_writer):
                end.settimeout(0)
            self._watch_sockets()
        except OSError as error:
            raise LoopStartError(error) from error
        self._connections = Connections(self._listeners, self._selector, settings.max_buffered_bytes, self._log)
        self._ready: deque[Connection] = deque()
        """Connections to continue in the next turn without a new event."""

        self._next_tick = 0.0
        threads = ThreadPool(settings.max_threads, settings.max_waiting, self._report_thread)
        self._dispatcher = Dispatcher(threads, self._wake, self._log, settings.max_wait_seconds)

    @property
    def problems(self) -> Mapping[str, int]:
        """By reason: how often something went wrong that is logged at most once a minute."""
        return self._log.counts

    def run(self) -> None:
        """Serve until `stop`, then finish the requests that have begun."""
        gc.freeze()  # imported modules are never freed: collecting them takes milliseconds
        while not self._is_stopping:
            self._run_once(POLL_SECONDS)
        self._shut_down()

    def stop(self) -> None:
        """Accept no more connections and make `run` return."""
        self._is_stopping = True
        self._wake()

    def _watch_sockets(self) -> None:
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        for listener in self._listeners:
            self._selector.register(listener.socket, selectors.EVENT_READ, listener)

    def _wake(self) -> None:
        with suppress(OSError):  # a full buffer wakes the loop, too
            self._wake_writer.send(b".")

    def _report_thread(self, name: str, _count: int, error: BaseException) -> None:
        self._log.exception(f"{name}-thread-failed", error)

    def _run_once(self, timeout_seconds: float) -> None:
        for key, _ in self._selector.select(0 if self._ready else timeout_seconds):
            if isinstance(key.data, Connection):
                self._guard(key.data, self._on_event)
            elif key.data is None:
                self._take_finished()
            else:
                self._accept(key.data)
        self._continue_ready()
        now = time.monotonic()
        if now >= self._next_tick:
            self._next_tick = now + (SHUTDOWN_POLL_SECONDS if self._is_stopping else POLL_SECONDS)
            self._tick(now)

    def _continue_ready(self) -> None:
        steps = 0
        while self._ready and steps < MAX_READY:
            connection = self._ready.popleft()
            if not connection.is_dropped:  # these cost no step, so that they never fill the queue
                steps += 1
                self._guard(connection, self._advance)

    def _tick(self, now: float) -> None:
        self._connections.drop_overdue(now)
        for listener in self._listeners:
            if listener.is_paused:
                self._resume(listener)
        if self._on_tick:
            self._on_tick()

    def _accept(self, listener: Listener) -> None:
        for number in range(MAX_ACCEPTS):
            if listener.is_full and listener.is_busy:
                self._pause(listener)
                return
            try:
                accepted = listener.accept()
            except OSError as error:
                # Linux takes the descriptor first: accept fails even if no further client waits.
                if number == 0:
                    self._accept_in_place_of_another(listener, error)
                return
            if accepted is None:
                return
            if listener.is_full:
                self._connections.drop_oldest(listener)
            self._open(listener, *accepted)

    def _accept_in_place_of_another(self, listener: Listener, error: OSError) -> None:
        """Close the connection that has waited longest for a new one. If there is none, or it does not help, pause."""
        self._log(describe_exhaustion(error), str(error))
        accepted, before = None, time.monotonic() - EXHAUSTED_SECONDS
        with suppress(OSError):
            if any(self._connections.drop_oldest(one, before) for one in (listener, *self._listeners)):
                accepted = listener.accept()
        if accepted:
            self._open(listener, *accepted)
        else:
            self._pause(listener)

    def _open(self, listener: Listener, accepted: socket.socket, client: Address) -> None:
        try:
            connection = Connection(accepted, client, listener, time.monotonic())
        except Exception as error:  # noqa: BLE001 - the client is gone, or no certificate is loaded yet
            self._log("no-certificate" if isinstance(error, NoCertificateError) else "accept-failed", str(error))
            accepted.close()
            return
        listener.connections[connection] = None
        self._guard(connection, self._on_event)  # most clients have sent their request by now

    def _pause(self, listener: Listener) -> None:
        """Accept nothing until the next tick: the selector would report the waiting clients in every turn."""
        listener.is_paused = True
        self._selector.unregister(listener.socket)

    def _resume(self, listener: Listener) -> None:
        try:
            self._selector.register(listener.socket, selectors.EVENT_READ, listener)
        except OSError as error:  # the kernel has no memory for it: the next tick tries again
            self._log(describe_exhaustion(error), str(error))
        else:
            listener.is_paused = False

    def _guard(self, connection: Connection, step: Callable[..., None], *arguments: Exchange | Result) -> None:
        """Do a step for a connection. Whatever goes wrong closes this connection only."""
        try:
            step(connection, *arguments)
            self._connections.watch(connection)
        except OSError as error:  # the client is gone, or the selector can watch no further one
            if error.errno in EXHAUSTED:
                self._log(describe_exhaustion(error), str(error))
            self._connections.drop(connection)
        except Exception as error:  # noqa: BLE001 - nothing may end the loop
            self._log.exception("connection-failed", error)
            self._connections.drop(connection)

    def _on_event(self, connection: Connection) -> None:
        if connection.is_dropped:  # earlier in this turn
            return
        if connection.has_unsent:
            connection.send()
            if not connection.has_unsent:
                self._end_response(connection, keeps_alive=not connection.is_closing)
            return
        connection.receive(time.monotonic())
        self._connections.count(connection)
        self._advance(connection)

    def _advance(self, connection: Connection) -> None:
        """Do the next step for a connection, depending on its state."""
        if connection.has_unsent or connection.is_busy or connection.is_dropped:
            return
        if connection.is_closing:
            if connection.can_close():
                self._connections.drop(connection)
        elif taken := connection.take_request():
            request, keeps_alive = taken
            reply = self._dispatcher.dispatch(connection, request, keeps_alive=keeps_alive and not self._is_stopping)
            if reply:
                self._reply(connection, reply)
        elif connection.parser.error:
            connection.send(serialize_error(connection.parser.error, time.time()))
            self._end_response(connection, keeps_alive=False)
        elif connection.is_eof:
            self._connections.drop(connection)
        elif connection.parser.take_continue():
            connection.send(CONTINUE)

    def _reply(self, connection: Connection, reply: Reply) -> None:
        try:
            if not connection.is_dropped:
                connection.send(reply.data)
        finally:
            self._dispatcher.finish(reply)
        self._end_response(connection, keeps_alive=reply.keeps_alive)

    def _take_finished(self) -> None:
        with suppress(BlockingIOError):
            self._wake_reader.recv(4096)
        for exchange, result in self._dispatcher.take_finished():
            self._guard(exchange.connection, self._reply_from_thread, exchange, result)

    def _reply_from_thread(self, connection: Connection, exchange: Exchange, result: Result) -> None:
        self._reply(connection, self._dispatcher.format_result(exchange, result))

    def _end_response(self, connection: Connection, *, keeps_alive: bool) -> None:
        if connection.is_dropped:
            return
        connection.end_response(time.monotonic(), self._settings.keepalive_seconds, keeps_alive=keeps_alive)
        self._connections.count(connection)
        if connection.has_unsent or connection.is_dropped:
            return
        if connection.is_closing:
            if connection.can_close():
                self._connections.drop(connection)
        else:
            connection.listener.move_to_end(connection)
            if connection.parser.has_work or connection.is_eof:
                self._ready.append(connection)

    def _shut_down(self) -> None:
        self._run_once(0)  # clients that wait to be accepted, and requests that nothing has read yet
        for listener in self._listeners:
            if not listener.is_paused:
                self._selector.unregister(listener.socket)
            listener.is_paused = False
            listener.socket.close()
        now = time.monotonic()
        linger, deadline = now + self._settings.linger_seconds, now + self._settings.graceful_seconds
        while self._connections.has_any and time.monotonic() < deadline:
            if time.monotonic() >= linger:
                self._connections.drop_idle()
            self._run_once(SHUTDOWN_POLL_SECONDS)
        self._selector.close()
