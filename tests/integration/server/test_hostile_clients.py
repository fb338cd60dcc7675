"""What a client sends to the injector or a sidecar must not stop, slow down or fill the process."""

import socket
import time
from contextlib import ExitStack, suppress

import pytest

from injector.webhook.app import MAX_BODY_BYTES
from testing.raw_http import Wire, build_request
from testing.sidecars import CREDENTIALS_PATH
from tests.integration.server.senders import flooding, sending
from tests.integration.server.targets import MIB, Target

UNFINISHED = 32
MEMORY_GROWTH_MIB = 64
"""32 MiB of unfinished requests, the sockets, and what the allocator keeps."""

FIRST = build_request("/unknown")
LONG = build_request("/unknown", headers=[("X", "x" * 4000)])

MAX_SECONDS = 1.0
LOG_BYTES = 4096


def test_pipelined_requests_that_need_threads_do_not_end_the_process(target: Target) -> None:
    before = target.find_processes()

    with target.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)  # both TLS records arrive at the same time
        connection.sendall(FIRST * 2 + b"".join(target.slow[:2]))
        connection.sendall(b"G")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        answer = read_answers(connection, 4)

    assert target.time_answer() < MAX_SECONDS
    assert target.find_processes() == before, target.log
    assert answer == [404, 404, 200, 200]


def test_pipelined_requests_of_more_than_one_read_do_not_end_the_process(target: Target) -> None:
    before = target.find_processes()

    with target.connect() as connection:
        connection.sendall(LONG * 20 + b"".join(target.slow[:2]))
        answer = read_answers(connection, 22)

    assert target.time_answer() < MAX_SECONDS
    assert target.find_processes() == before, target.log
    assert answer == [404] * 20 + [200, 200]


def read_answers(connection: socket.socket, count: int) -> list[int]:
    """The statuses of this many responses, or less if the connection breaks."""
    wire, statuses = Wire(connection), list[int]()
    with suppress(OSError, EOFError):
        statuses.extend(wire.read_answer().status for _ in range(count))
    return statuses


@pytest.mark.parametrize("length", [8 * MIB, MAX_BODY_BYTES], ids=["8-mib", "longest"])
def test_unfinished_bodies_do_not_fill_the_memory(injector: Target, length: int) -> None:
    head = b"POST /mutate HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length
    before, processes = injector.read_memory(), injector.find_processes()

    with sending(injector, UNFINISHED, head, b"x" * (length - 1)) as senders:
        peak = before
        while senders.is_alive():
            peak = max(peak, injector.read_memory())
            time.sleep(0.02)
        waited = injector.time_answer()

    assert (peak - before) / MIB < MEMORY_GROWTH_MIB
    assert waited < MAX_SECONDS
    assert injector.find_processes() == processes


def test_one_byte_chunks_do_not_delay_other_clients(target: Target) -> None:
    path = b"/mutate" if target.context else CREDENTIALS_PATH.encode()
    head = b"POST " + path + b" HTTP/1.1\r\nHost: 169.254.170.2\r\nTransfer-Encoding: chunked\r\n\r\n"
    target.time_answer()

    with flooding(target, 24, head, b"1\r\nx\r\n" * 4096):
        waited = [target.time_answer() for _ in range(20)]

    assert max(waited) < MAX_SECONDS, waited


def test_malformed_chunk_sizes_do_not_fill_the_log(target: Target) -> None:
    path = b"/mutate" if target.context else CREDENTIALS_PATH.encode()
    before, processes = len(target.log), target.find_processes()

    for _ in range(500):
        with target.connect() as connection, suppress(ConnectionError):
            connection.sendall(
                b"POST " + path + b" HTTP/1.1\r\nHost: 169.254.170.2\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            connection.sendall(b"11111111111111111\r\n")
            Wire(connection).read_rest()
    logged = target.log[before:]

    assert "Traceback" not in logged, logged[:2000]
    assert len(logged) < LOG_BYTES, logged[:2000]
    assert target.time_answer() < MAX_SECONDS
    assert target.find_processes() == processes


def test_idle_connections_do_not_block_the_metrics_port(target: Target) -> None:
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(socket.create_connection(("127.0.0.1", target.plain_port), timeout=10))
        began = time.monotonic()
        scraper = stack.enter_context(socket.create_connection(("127.0.0.1", target.plain_port), timeout=10))
        scraper.sendall(build_request("/metrics", host="a"))
        answer = scraper.recv(65536)

    assert answer.split(b" ")[1:2] == [b"200"]
    assert time.monotonic() - began < MAX_SECONDS
