"""Attempts against real sockets of this machine: refused, silent, endless, slow and closing servers."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from sidecar.reachability.connections import CONNECTED, REFUSED, TIMED_OUT, Attempt, Outcome, try_all
from testing.ports import find_free_port

REQUEST = b"GET / HTTP/1.1\r\n\r\n"


@contextmanager
def serving(behave: Callable[[socket.socket, threading.Event], object]) -> Iterator[int]:
    """Accept one connection, and do something with it until the block ends; yield the port."""
    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                behave(connection, is_over)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            is_over.set()
            thread.join()


def attempt(port: int, request: bytes = REQUEST, max_bytes: int = 1024) -> Outcome:
    [outcome] = try_all([Attempt("127.0.0.1", port, request)], 0.3, max_bytes)
    return outcome


def send_endlessly(connection: socket.socket, is_over: threading.Event) -> None:
    while not is_over.is_set():
        connection.send(b"x" * 4096)


def trickle(connection: socket.socket, is_over: threading.Event) -> None:
    while not is_over.wait(0.01):
        connection.send(b"x")


def test_port_without_listener_is_refused() -> None:
    assert attempt(find_free_port()) == Outcome(REFUSED)


def test_silent_server_is_connected_and_ends_at_the_timeout() -> None:
    with serving(lambda _, is_over: is_over.wait()) as port:
        begin = time.monotonic()
        outcome = attempt(port)

    assert outcome == Outcome(CONNECTED)
    assert 0.3 <= time.monotonic() - begin < 5


def test_endless_response_is_read_up_to_the_limit() -> None:
    with serving(send_endlessly) as port:
        outcome = attempt(port)

    assert outcome == Outcome(CONNECTED, b"x" * 1024)


def test_what_a_trickling_server_sent_before_the_timeout_counts() -> None:
    with serving(trickle) as port:
        outcome = attempt(port)

    assert outcome.error == CONNECTED
    assert 0 < len(outcome.received) < 100


def test_response_ends_with_the_connection() -> None:
    with serving(lambda connection, _: connection.send(b"HTTP/1.1 401 Unauthorized\r\n\r\n")) as port:
        assert attempt(port) == Outcome(CONNECTED, b"HTTP/1.1 401 Unauthorized\r\n\r\n")


def test_without_a_request_only_the_connection_is_made() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert attempt(listener.getsockname()[1], request=b"") == Outcome(CONNECTED)


def test_server_that_accepts_no_connection_times_out() -> None:
    """A full queue of connections drops the packets that ask for one."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, socket.socket() as first:
        first.connect(listener.getsockname())
        assert attempt(listener.getsockname()[1]).error == TIMED_OUT


def test_outcomes_have_the_order_of_the_attempts_and_share_one_timeout() -> None:
    closed = find_free_port()
    with serving(lambda _, is_over: is_over.wait()) as silent:
        begin = time.monotonic()
        outcomes = try_all([Attempt("127.0.0.1", port, REQUEST) for port in (silent, closed, silent, silent)], 0.3, 9)

    assert [outcome.error for outcome in outcomes] == [CONNECTED, REFUSED, CONNECTED, CONNECTED]
    assert time.monotonic() - begin < 1


def test_process_without_free_file_descriptors_is_an_error_and_not_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("sidecar.reachability.connections.socket.socket", fail)

    with pytest.raises(OSError, match="Too many open files"):
        attempt(1)
