"""What no client can provoke at will: the loop runs in a thread of the test, and parts of it fail."""

import errno
import os
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

import server.loop
from server.connection import Connection
from server.deadlines import POLL_SECONDS
from server.listener import Listener, Service
from server.loop import Loop
from server.messages import Request, Response, WouldBlock
from server.settings import Settings

BREAK = b"GET /break HTTP/1.1\r\nHost: a\r\n"
BLOCK = b"GET /block HTTP/1.1\r\nHost: a\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class FailingConnection(Connection):
    """Fails when a client sends BREAK, and after the response of a thread."""

    def receive(self, now: float) -> None:
        super().receive(now)
        if self.parser._target == b"/break":  # noqa: SLF001 - what was sent so far
            raise KeyError("a defect")

    def end_response(self, now: float, keepalive_seconds: float, *, keeps_alive: bool) -> None:
        if self.is_busy:
            raise KeyError("a defect after a thread")
        super().end_response(now, keepalive_seconds, keeps_alive=keeps_alive)


def handle(request: Request) -> Response:
    if request.target == "/block" and not request.may_block:
        raise WouldBlock
    return Response(200, b"hello")


class Served:
    def __init__(self) -> None:
        self.lines: list[tuple[str, int, str]] = []
        listening = socket.create_server(("127.0.0.1", 0))
        self.address = listening.getsockname()
        loop = Loop({listening: Service(handle, 0)}, Settings(), lambda *line: self.lines.append(line))
        self.stop = loop.stop
        self.thread = threading.Thread(target=loop.run)
        self.thread.start()

    def exchange(self, sent: bytes) -> bytes:
        """Send on a new connection; return what arrives until the server closes."""
        with socket.create_connection(self.address, timeout=10) as connection:
            connection.sendall(sent)
            try:
                return b"".join(iter(lambda: connection.recv(65536), b""))
            except ConnectionResetError:
                return b""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(server.loop, "Connection", FailingConnection)
    running = Served()
    yield running
    running.stop()
    running.thread.join(10)
    assert not running.thread.is_alive()


@pytest.mark.parametrize(
    "sent",
    [pytest.param(BREAK, id="while-reading"), pytest.param(BLOCK, id="after-a-thread")],
)
def test_defect_closes_its_connection_and_others_are_answered(served: Served, sent: bytes) -> None:
    with ExitStack() as stack:
        other = stack.enter_context(socket.create_connection(served.address, timeout=10))
        other.sendall(GET[:10])

        for _ in range(3):
            served.exchange(sent)
        other.sendall(GET[10:])

        assert other.recv(65536).endswith(b"hello")
    assert served.exchange(GET).endswith(b"hello")
    assert [reason for reason, _, _ in served.lines] == ["connection-failed"], "one line a minute"
    assert "KeyError: 'a defect" in served.lines[0][2]


def test_loop_waits_a_second_when_no_connection_can_be_accepted(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The selector reports the waiting client in every turn: without the pause the loop would use a whole CPU."""
    attempts: list[float] = []

    def fail(_listener: Listener) -> None:
        attempts.append(time.monotonic())
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as exhausted:
        exhausted.setattr(Listener, "accept", fail)
        with socket.create_connection(served.address, timeout=10) as waiting:
            waiting.sendall(GET)
            while len(attempts) < 3:
                time.sleep(0.01)
            exhausted.undo()
            answer = waiting.recv(65536)

    assert answer.endswith(b"hello")
    assert attempts[2] - attempts[1] > POLL_SECONDS / 2  # a tick may follow the first one at once


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.ENOMEM], ids=["watches-of-the-user", "memory"])
def test_loop_whose_selector_can_watch_nothing_more_says_so_and_recovers(
    served: Served, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """All processes of a user share the watches of epoll: fs.epoll.max_user_watches."""

    failed: list[float] = []

    def fail(*_: object) -> None:
        failed.append(time.monotonic())
        raise OSError(code, os.strerror(code))

    assert served.exchange(GET).endswith(b"hello")  # it runs
    with monkeypatch.context() as exhausted:
        exhausted.setattr(selectors.DefaultSelector, "register", fail)
        assert served.exchange(GET[:10]) == b""
        exhausted.setattr(Listener, "accept", fail)  # the listener pauses, and cannot be resumed
        failed.clear()
        with socket.create_connection(served.address, timeout=10):
            while len(failed) < 3:
                time.sleep(0.01)
    answer = served.exchange(GET)

    assert answer.endswith(b"hello")
    assert {reason for reason, _, _ in served.lines} == {"no-memory"}
