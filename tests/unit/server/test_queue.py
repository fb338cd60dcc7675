"""Requests that wait for a thread."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest

from server.dispatcher import Dispatcher
from server.log_limit import LimitedLog
from server.messages import Request, Response, WouldBlock

if TYPE_CHECKING:
    from server.threads import ThreadPool

MAX_WAIT_SECONDS = 0.5
REQUEST = Request("POST", "/mutate", {})


class Queue:
    """A pool without threads: the test runs the tasks."""

    def __init__(self) -> None:
        self.tasks: list[Callable[[], object]] = []
        self.now = 100.0

    def submit(self, task: Callable[[], object]) -> bool:
        self.tasks.append(task)
        return True

    def finished(self) -> None:
        """Count nothing."""


class Answered(NamedTuple):
    data: bytes
    calls: list[str]
    log: list[str]


def answer_after(seconds: float) -> Answered:
    """Let a request wait so long for its thread."""
    queue, calls, log = Queue(), list[str](), list[str]()

    def resume() -> Response:
        calls.append("resume")
        return Response(204)

    def handle(_: Request) -> Response:
        raise WouldBlock(resume, lambda: calls.append("cancel"))

    connection: Any = Connection(handle)
    write_log = LimitedLog(lambda reason, _count, detail: log.append(f"{reason}: {detail}"))
    threads = cast("ThreadPool", queue)
    dispatcher = Dispatcher(threads, lambda: None, write_log, MAX_WAIT_SECONDS, lambda: queue.now)
    assert dispatcher.dispatch(connection, REQUEST, keeps_alive=True) is None
    queue.now += seconds
    queue.tasks[0]()
    [(exchange, result)] = dispatcher.take_finished()
    return Answered(dispatcher.format_result(exchange, result).data, calls, log)


class Connection:
    """The only parts of a connection that are used."""

    def __init__(self, handler: Callable[[Request], Response]) -> None:
        self.listener = self
        self.service = self
        self.handler = handler

    def start_thread(self) -> None:
        """Note nothing."""


@pytest.mark.parametrize("seconds", [0, MAX_WAIT_SECONDS])
def test_request_that_gets_a_thread_in_time_is_handled(seconds: float) -> None:
    answered = answer_after(seconds)

    assert answered.data.startswith(b"HTTP/1.1 204 ")
    assert (answered.calls, answered.log) == (["resume"], [])


def test_request_that_waited_too_long_for_a_thread_gets_429_and_is_not_handled() -> None:
    answered = answer_after(MAX_WAIT_SECONDS + 0.1)

    assert answered.data.startswith(b"HTTP/1.1 429 ")
    assert b"\r\nRetry-After: 1\r\n" in answered.data
    assert answered.calls == ["cancel"]
    assert answered.log == ["too-many-requests: POST waited too long for a thread"]
