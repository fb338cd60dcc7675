"""Calls handlers, at once or in a thread, and formats their responses."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from server.clocks import read_boottime
from server.connection import Connection
from server.log_limit import LimitedLog
from server.messages import Request, Response, WouldBlock
from server.responses import serialize
from server.threads import ThreadPool

TOO_MANY_REQUESTS = Response(
    429,
    b"too many requests wait for a thread: retry\n",
    (("Content-Type", "text/plain"), ("Retry-After", "1")),
)
FAILED = Response(500)


class Reply(NamedTuple):
    """A formatted response."""

    data: bytes
    keeps_alive: bool
    """Whether the connection stays open after it."""

    after: Callable[[], object] | None = None
    """As in `Response`."""


class Exchange(NamedTuple):
    """A request in a thread."""

    connection: Connection
    request: Request
    keeps_alive: bool


Result = Response | BaseException
"""Of a handler that ran in a thread."""


class Dispatcher:
    """Turns each request into one reply. Exceptions of handlers are logged, and the client gets a 500."""

    def __init__(
        self,
        threads: ThreadPool,
        wake: Callable[[], None],
        log: LimitedLog,
        max_wait_seconds: float,
        clock: Callable[[], float] = read_boottime,
    ) -> None:
        """`wake` is called in a thread when its reply can be taken."""
        self._max_wait_seconds = max_wait_seconds
        self._clock = clock
        self._threads = threads
        self._wake = wake
        self._log = log
        self._finished: deque[tuple[Exchange, Result]] = deque()

    def dispatch(self, connection: Connection, request: Request, *, keeps_alive: bool) -> Reply | None:
        """Return the reply; None if a thread handles the request."""
        try:
            response = connection.listener.service.handler(request)
        except WouldBlock as signal:
            connection.start_thread()
            exchange = Exchange(connection, request, keeps_alive)
            if self._threads.submit(partial(self._run_in_thread, exchange, signal, self._clock())):
                return None
            signal.cancel()
            self._log("too-many-requests", f"{request.method} waited for no thread")
            response = TOO_MANY_REQUESTS
        except BaseException as error:  # noqa: BLE001 - nothing may end the loop
            return self._fail(request, error)
        return self._format(request, response, keeps_alive=keeps_alive)

    def take_finished(self) -> Iterator[tuple[Exchange, Result]]:
        """Yield what threads have done, for `format_result`. The connection can be closed by now."""
        while self._finished:
            self._threads.finished()
            yield self._finished.popleft()

    def format_result(self, exchange: Exchange, result: Result) -> Reply:
        """Return the reply of a thread."""
        if isinstance(result, BaseException):
            return self._fail(exchange.request, result)
        if result is TOO_MANY_REQUESTS:
            self._log("too-many-requests", f"{exchange.request.method} waited too long for a thread")
        return self._format(exchange.request, result, keeps_alive=exchange.keeps_alive)

    def finish(self, reply: Reply) -> None:
        """Do what the handler wanted to do after its response."""
        try:
            if reply.after:
                reply.after()
        except BaseException as error:  # noqa: BLE001 - nothing may end the loop
            self._log.exception("handler-failed", error)

    def _run_in_thread(self, exchange: Exchange, signal: WouldBlock, queued_at: float) -> None:
        try:
            result: Result = self._answer_in_thread(exchange, signal, queued_at)
        except BaseException as error:  # noqa: BLE001 - nothing may end the loop
            result = error
        self._finished.append((exchange, result))
        del result  # an exception refers to this frame, and the two would keep the request until a garbage collection
        self._wake()

    def _answer_in_thread(self, exchange: Exchange, signal: WouldBlock, queued_at: float) -> Response:
        if self._clock() - queued_at > self._max_wait_seconds:  # the client may have given up: others come first
            signal.cancel()
            return TOO_MANY_REQUESTS
        if signal.resume:
            return signal.resume()
        return exchange.connection.listener.service.handler(exchange.request._replace(may_block=True))

    def _format(self, request: Request, response: Response, *, keeps_alive: bool) -> Reply:
        try:
            data = serialize(response, request, keeps_alive=keeps_alive, now=time.time())
        except Exception as error:  # noqa: BLE001 - nothing may end the loop
            return self._fail(request, error)._replace(after=getattr(response, "after", None))
        return Reply(data, keeps_alive, response.after)

    def _fail(self, request: Request, error: BaseException) -> Reply:
        self._log.exception("handler-failed", error)
        return Reply(serialize(FAILED, request, keeps_alive=False, now=time.time()), keeps_alive=False)
