"""Clients that leave in any state: with a reset, by closing one side, or both."""

import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest

from testing.raw_http import Wire
from tests.unit.server.hostile_server import SETTINGS
from tests.unit.server.running import Port, Running, build

COUNT = 10
CHUNKED = b"PUT /echo HTTP/1.1\r\nHost: a\r\nX-Id: a\r\nTransfer-Encoding: chunked\r\n\r\n"
STATES = {
    "connected": b"",
    "half-of-the-request-line": b"PUT /ec",
    "half-of-the-headers": b"PUT /echo HTTP/1.1\r\nHost: a\r\n",
    "no-body": build("/echo", "a", b"x" * 10)[:-10],
    "half-of-the-body": build("/echo", "a", b"x" * 10)[:-5],
    "half-of-a-chunk": CHUNKED + b"5\r\nhe",
    "before-the-last-chunk": CHUNKED + b"5\r\nhello\r\n",
    "in-the-trailers": CHUNKED + b"0\r\nX: y\r\n",
    "waiting-for-100-continue": build("/echo", "a", b"x" * 10, b"Expect: 100-continue\r\n")[:-10],
    "answered": build("/echo", "a"),
    "answered-and-half-of-the-next": build("/echo", "a") + b"PUT /",
    "in-a-thread": build("/wait/0.3", "a"),
    "in-a-thread-and-pipelined": build("/wait/0.3", "a") + build("/echo", "b"),
    "in-a-thread-that-fails": build("/thread-raise/KeyError", "a"),
    "large-response": build("/large", "a") * 5,
    "large-response-of-a-thread": build("/thread-large", "a"),
    "rejected": b"\0\r\n\r\n",
    "rejected-and-sending": b"\0\r\n\r\n" + b"x" * 10_000,
    "last-request-and-more": build("/echo", "a", headers=b"Connection: close\r\n") + build("/echo", "b"),
}


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def half_close(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)


def half_close_and_reset(connection: socket.socket) -> None:
    half_close(connection)
    reset(connection)


LEAVE: dict[str, Callable[[socket.socket], None]] = {
    "reset": reset,
    "close": socket.socket.close,
    "half-close": half_close,
    "half-close-and-reset": half_close_and_reset,
}


@pytest.mark.parametrize("pause", [0, 0.1], ids=["at-once", "later"])
@pytest.mark.parametrize("leave", LEAVE)
@pytest.mark.parametrize("state", STATES)
def test_client_that_leaves_costs_nothing(hostile: Running, port: Port, state: str, leave: str, pause: float) -> None:
    hostile.check_new_clients()
    files = hostile.count_files()
    with ExitStack() as stack:
        clients = [stack.enter_context(hostile.connect(port)) for _ in range(COUNT)]
        for client in clients:
            client.sendall(STATES[state])
        time.sleep(pause)
        for client in clients:
            LEAVE[leave](client)
        hostile.check_new_clients()
        hostile.wait_for_files(files)

    assert "reason=connection-failed" not in hostile.log


ANSWERED = {
    "at-once": (build("/echo", "0") + build("/echo", "1"), 2),
    "in-a-thread": (build("/wait/0.2", "0") + build("/echo", "1") + build("/wait/0.2", "2"), 3),
    "large": (build("/large", "0") + build("/echo", "1"), 2),
    "with-an-incomplete-one": (build("/echo", "0") + build("/echo", "1", b"x" * 10)[:-1], 1),
    "with-an-invalid-one": (build("/echo", "0") + build("/wait/0.2", "1") + b"\0\r\n\r\n", 3),
}
"""What a client sends before it closes its sending side, and how many responses it gets."""


@pytest.mark.parametrize("name", ANSWERED)
def test_half_closed_client_gets_all_responses_and_then_the_end(hostile: Running, name: str) -> None:
    sent, count = ANSWERED[name]
    with hostile.connect() as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        wire = Wire(connection)
        answers = [wire.read_answer() for _ in range(count)]
        rest = wire.read_rest()

    assert [answer.find("X-Id") for answer in answers if answer.status == 200] == [
        str(number) for number in range(count - (name == "with-an-invalid-one"))
    ]
    assert rest == b""


def test_sigterm_ends_the_process_whatever_its_clients_do(own_hostile: Running) -> None:
    with ExitStack() as stack:
        for port in Port:
            for sent in STATES.values():
                stack.enter_context(own_hostile.connect(port)).sendall(sent)
        own_hostile.process.terminate()

        assert own_hostile.process.wait(SETTINGS.graceful_seconds + 5) == 0


def test_sigterm_does_not_wait_for_a_thread_beyond_the_grace_period(own_hostile: Running) -> None:
    with own_hostile.connect() as connection:
        connection.sendall(build("/wait/60", "a"))
        own_hostile.check_new_clients()
        began = time.monotonic()
        own_hostile.process.terminate()

        assert own_hostile.process.wait(SETTINGS.graceful_seconds + 10) == 0
        assert time.monotonic() - began >= SETTINGS.graceful_seconds - 1
