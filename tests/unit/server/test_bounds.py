"""Memory and time of what clients send, do not finish, or do not read."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from testing.raw_http import Wire, take_answer
from tests.unit.server.hostile_server import MAX_BODY_BYTES, MAX_CONNECTIONS, REQUEST_SECONDS, SETTINGS
from tests.unit.server.running import Port, Running, build

MIB = 1024 * 1024
SMALL_BUFFER = 4096
PIECE = 16 * 1024
GROWTH_BYTES = SETTINGS.max_buffered_bytes + 6 * MIB
"""The bound of unfinished requests, and what Python's allocator keeps."""

WAITS = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
PUT = b"PUT /echo HTTP/1.1\r\nHost: a\r\n"
CHUNKED = PUT + b"Transfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "empty-lines": (b"", b"\r\n" * 1000),
    "method": (b"", b"PUT" * 1000),
    "target": (b"PUT /", b"x" * 1000),
    "header-name": (PUT, b"x" * 1000),
    "header-value": (PUT + b"X: ", b"x" * 1000),
    "headers": (PUT, b"X: y\r\n" * 100),
    "empty-headers": (PUT, b"X:\r\n" * 100),
    "chunk-extension": (CHUNKED + b"1;", b"x" * 1000),
    "chunk-extensions": (CHUNKED, b"1;" + b"x" * 5000 + b"\r\nx\r\n"),
    "chunk-extension-value": (CHUNKED + b'1;a="', b"x" * 1000),
    "chunk-size-zeros": (CHUNKED, b"0" * 1000),
    "one-byte-chunks": (CHUNKED, b"1\r\nx\r\n" * 200),
    "body-of-chunks": (CHUNKED, b"1000\r\n" + b"x" * 4096 + b"\r\n"),
    "trailers": (CHUNKED + b"0\r\n", b"X: y\r\n" * 100),
    "trailer-value": (CHUNKED + b"0\r\nX: ", b"x" * 1000),
    "after-an-error": (b"\0\r\n\r\n", b"x" * 4096),
    "after-the-last-request": (PUT + b"Connection: close\r\n\r\n", b"x" * 4096),
}
"""What a client sends first, and then until the server closes."""


@pytest.mark.parametrize("name", ENDLESS)
def test_endless_request_ends_in_time_and_costs_little_memory(hostile: Running, port: Port, name: str) -> None:
    first, again = ENDLESS[name]
    before, peak = hostile.read_memory(), 0
    with ExitStack() as stack:
        senders = [stack.enter_context(hostile.connect(port)) for _ in range(8)]
        began = time.monotonic()
        for sender in senders:
            sender.sendall(first)
            sender.settimeout(0)
        while senders:
            assert time.monotonic() - began < REQUEST_SECONDS + 4, f"{len(senders)} connections are still open"
            senders = [sender for sender in senders if _push(sender, again)]
            peak = max(peak, hostile.read_memory())

    assert peak - before < GROWTH_BYTES
    hostile.check_new_clients()


def _push(sender: socket.socket, data: bytes) -> bool:
    """Send some and drop what arrives; return whether the server still takes it. An end of file alone is not enough."""
    try:
        with suppress(*WAITS):
            sender.recv(65536)
        with suppress(*WAITS):
            sender.send(data)
    except OSError:
        return False
    return True


def _unfinished(length: int) -> bytes:
    return PUT + b"Content-Length: %d\r\n\r\n" % length


@pytest.mark.parametrize("body", ["length", "chunked"])
def test_unfinished_bodies_stay_within_the_bound_and_the_largest_go_first(
    hostile: Running, port: Port, body: str
) -> None:
    size = MAX_BODY_BYTES - 1
    attack = CHUNKED + b"%x\r\n" % size if body == "chunked" else _unfinished(MAX_BODY_BYTES)
    before = peak = hostile.read_memory()
    with ExitStack() as stack:
        small = Wire(stack.enter_context(hostile.connect(port)))
        small.send(build("/echo", "small", b"x" * 2000)[:-1000])
        large = [stack.enter_context(hostile.connect(port)) for _ in range(40)]
        for connection in large:
            connection.sendall(attack)
        for _ in range(size // PIECE):
            for connection in large:
                with suppress(OSError):
                    connection.sendall(b"x" * PIECE)
            peak = max(peak, hostile.read_memory())
        hostile.check_new_clients()
        small.send(b"x" * 1000)
        answer = small.read_answer()

    assert peak - before < GROWTH_BYTES
    assert (answer.status, answer.find("X-Id"), len(answer.body)) == (200, "small", 2000)


def test_dropped_bodies_do_not_count_any_more(hostile: Running) -> None:
    """More than the bound, one after the other: what a closed connection had sent is free again."""
    files = hostile.count_files()
    for _ in range(3 * SETTINGS.max_buffered_bytes // MAX_BODY_BYTES):
        with hostile.connect() as connection:
            connection.sendall(_unfinished(MAX_BODY_BYTES) + b"x" * (MAX_BODY_BYTES - 1))
    hostile.wait_for_files(files)
    body = b"x" * MAX_BODY_BYTES

    answers = [hostile.ask(build("/echo", "a", body)) for _ in range(10)]

    assert [len(answer.body) for answer in answers] == [MAX_BODY_BYTES] * 10


@pytest.mark.parametrize("chunk", [4096, MAX_BODY_BYTES], ids=["small-chunks", "one-chunk"])
def test_chunked_body_is_limited_like_one_with_a_length(hostile: Running, chunk: int) -> None:
    chunks = b"%x\r\n%s\r\n" % (chunk, b"x" * chunk) * (MAX_BODY_BYTES // chunk)

    allowed = hostile.ask(CHUNKED + chunks + b"0\r\n\r\n")
    refused = hostile.exchange(CHUNKED + chunks + b"1\r\nx\r\n0\r\n\r\n")

    assert (allowed.status, len(allowed.body)) == (200, MAX_BODY_BYTES)
    assert refused.startswith(b"HTTP/1.1 413 ")


def read_answers(received: bytes) -> Iterator[tuple[str | None, str | None]]:
    """The id and the Connection header of each response that is complete."""
    while taken := take_answer(received, "PUT"):
        answer, received = taken
        yield answer.find("X-Id"), answer.find("Connection")


@pytest.mark.parametrize("first", ["/echo", "/wait/1"], ids=["at-once", "behind-a-thread"])
@pytest.mark.parametrize("size", [0, 100_000], ids=["small", "large"])
def test_pipelined_requests_are_not_read_ahead(hostile: Running, port: Port, first: str, size: int) -> None:
    count = 5000 if size == 0 else 200
    requests = [build(first, "0"), *(build("/echo", str(number), b"x" * size) for number in range(1, count))]
    before = peak = hostile.read_memory()
    with hostile.connect(port) as connection:
        connection.settimeout(0.5)
        with suppress(OSError):  # also a timeout: the server has stopped reading
            connection.sendall(b"".join(requests))
        peak = max(peak, hostile.read_memory())
        hostile.check_new_clients()
        connection.settimeout(5)
        received = b""
        with suppress(OSError):
            while data := connection.recv(65536):
                received += data
                peak = max(peak, hostile.read_memory())
                if received.count(b"HTTP/1.1 ") == count:
                    break

    assert peak - before < 1.5 * MIB
    answers = list(read_answers(received))
    assert [request_id for request_id, _ in answers] == [str(number) for number in range(len(answers))]
    assert len(answers) >= 2
    assert all(header != "close" for _, header in answers[:-1])


def test_pipelined_requests_are_all_answered_if_one_read_takes_few_of_them(hostile: Running, port: Port) -> None:
    """The server closes after many pipelined requests: it must not count those that it has not yet read."""
    count = 200
    requests = [build("/echo", str(number), headers=b"X: " + b"x" * 800 + b"\r\n") for number in range(count)]
    with hostile.connect(port) as connection:
        connection.sendall(b"".join(requests))
        wire = Wire(connection)
        ids = [wire.read_answer().find("X-Id") for _ in range(count)]

    assert ids == [str(number) for number in range(count)]


def test_clients_that_do_not_read_are_closed_and_others_are_answered(hostile: Running, port: Port) -> None:
    files = hostile.count_files()
    with ExitStack() as stack:
        for number in range(MAX_CONNECTIONS // 2):
            stack.enter_context(hostile.connect(port, SMALL_BUFFER)).sendall(build("/large", str(number)))
        hostile.check_new_clients()
        hostile.wait_for_files(files)

    hostile.check_new_clients()


def test_response_is_freed_when_it_is_sent(hostile: Running, port: Port) -> None:
    before = hostile.read_memory()
    with ExitStack() as stack:
        for number in range(40):
            wire = Wire(stack.enter_context(hostile.connect(port)))
            wire.send(build("/large", str(number)))
            wire.read_answer()
        memory = hostile.read_memory() - before

    assert memory < 8 * MIB


def test_responses_that_clients_do_not_read_stay_within_the_bound(hostile: Running, port: Port) -> None:
    before = peak = hostile.read_memory()
    with ExitStack() as stack:
        for number in range(MAX_CONNECTIONS // 2):
            connection = stack.enter_context(hostile.connect(port, SMALL_BUFFER))
            connection.sendall(build("/large", str(number)))
            peak = max(peak, hostile.read_memory())
        hostile.check_new_clients()
        peak = max(peak, hostile.read_memory())

    assert peak - before < GROWTH_BYTES


def test_response_to_a_slow_reader_is_complete(hostile: Running, port: Port) -> None:
    with hostile.connect(port) as connection:
        connection.sendall(build("/large", "a") + build("/echo", "b"))
        time.sleep(0.5)
        wire = Wire(connection)
        answers = [wire.read_answer() for _ in range(2)]

    assert [answer.find("X-Id") for answer in answers] == ["a", "b"]


def test_client_that_reads_slowly_is_closed_in_time(hostile: Running, port: Port) -> None:
    files = hostile.count_files()
    with hostile.connect(port, SMALL_BUFFER) as connection:
        connection.sendall(build("/large", "a"))
        assert connection.recv(100)
        began = time.monotonic()
        while hostile.count_files() > files:
            connection.recv(100)
            time.sleep(0.02)
            assert time.monotonic() - began < REQUEST_SECONDS + 4


EXPECT = b"Expect: 100-continue\r\n"


def test_100_continue_comes_once_and_after_the_responses_before_it(hostile: Running) -> None:
    head = build("/echo", "b", b"x" * 10, EXPECT)[:-10]
    with hostile.connect() as connection:
        connection.sendall(build("/wait/0.3", "a") + head)
        wire = Wire(connection)
        first = wire.read_answer().find("X-Id")
        status = wire.read_answer("HEAD").status
        for _ in range(10):
            wire.send(b"x")
            time.sleep(0.01)
        last = wire.read_answer()

    assert (first, status) == ("a", 100)
    assert (last.status, last.find("X-Id"), last.body) == (200, "b", b"x" * 10)


@pytest.mark.parametrize("length", [b"99999999", b"99999999999999999999"], ids=["too-large", "overflow"])
def test_too_large_body_is_refused_without_100_continue(hostile: Running, length: bytes) -> None:
    received = hostile.exchange(PUT + EXPECT + b"Content-Length: " + length + b"\r\n\r\n")

    assert b" 100 " not in received
    assert received[9:12] in {b"400", b"413"}


def test_many_clients_that_expect_100_continue_and_stop_are_closed(hostile: Running, port: Port) -> None:
    files = hostile.count_files()
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(hostile.connect(port)).sendall(PUT + EXPECT + b"Content-Length: 10\r\n\r\n")
        hostile.check_new_clients()
        hostile.wait_for_files(files)
