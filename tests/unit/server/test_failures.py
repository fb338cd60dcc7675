"""What fails in one request or connection stays there: the process lives and answers others."""

import select
import time
from contextlib import ExitStack

import psutil
import pytest

from testing.raw_http import Wire
from tests.unit.server.hostile_handler import BAD_RESPONSES, EXCEPTIONS
from tests.unit.server.hostile_server import MAX_BODY_BYTES, SETTINGS
from tests.unit.server.running import Running, build

MIB = 1024 * 1024
MAX_LOG_BYTES = 8 * 1024


@pytest.mark.parametrize("action", ["raise", "thread-raise"])
@pytest.mark.parametrize("name", EXCEPTIONS)
def test_exception_of_a_handler_is_a_500(hostile: Running, action: str, name: str) -> None:
    received = hostile.exchange(build(f"/{action}/{name}", "a") + build("/echo", "b"))

    assert received.startswith(b"HTTP/1.1 500 ")
    assert name.encode() not in received
    assert received.count(b"HTTP/1.1 ") == 1
    hostile.check_new_clients()


@pytest.mark.parametrize(
    "action",
    [
        "raise",
        "thread-raise",
        "return",
        "thread-return",
    ],
)
def test_failed_request_frees_its_body(hostile: Running, action: str) -> None:
    """A traceback refers to the request: in a cycle, both would stay until a garbage collection."""
    request = build(f"/{action}/{'none' if 'return' in action else 'KeyError'}", "a", b"x" * MAX_BODY_BYTES)
    hostile.ask(request)
    before = peak = hostile.read_memory()
    for _ in range(60):
        assert hostile.ask(request).status == 500
        peak = max(peak, hostile.read_memory())

    assert peak - before < 6 * MAX_BODY_BYTES


@pytest.mark.parametrize("name", BAD_RESPONSES)
@pytest.mark.parametrize("action", ["return", "thread-return"])
def test_response_that_cannot_be_sent_is_a_500(hostile: Running, action: str, name: str) -> None:
    received = hostile.exchange(build(f"/{action}/{name}", "a"))

    assert received.startswith(b"HTTP/1.1 500 ")
    assert b"Set-Cookie" not in received
    hostile.check_new_clients()


def test_handler_that_would_block_even_in_a_thread_is_a_500(hostile: Running) -> None:
    assert hostile.ask(build("/thread-would-block", "a")).status == 500
    hostile.check_new_clients()


@pytest.mark.parametrize("action", ["after", "thread-after"])
@pytest.mark.parametrize("name", ["RuntimeError", "SystemExit"])
def test_exception_after_a_response_does_not_close_the_connection(hostile: Running, action: str, name: str) -> None:
    with hostile.connect() as connection:
        wire = Wire(connection)
        for request_id in ("a", "b"):
            wire.send(build(f"/{action}/{name}", request_id))
            answer = wire.read_answer()
            assert (answer.status, answer.find("X-Id")) == (200, request_id)
    hostile.check_new_clients()


def test_failures_are_logged_once_per_reason_and_minute(own_hostile: Running) -> None:
    requests = (
        build("/raise/KeyError", "a"),
        build("/thread-raise/KeyError", "a"),
        build("/after/KeyError", "a", headers=b"Connection: close\r\n"),
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n",
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
    )

    for _ in range(100):
        for request in requests:
            own_hostile.exchange(request)

    assert own_hostile.log.count("KeyError") >= 1
    assert own_hostile.log.count("Traceback") <= 2
    assert len(own_hostile.log) < MAX_LOG_BYTES


def test_thread_that_cannot_be_started_fails_one_request(own_hostile: Running) -> None:
    """Address space for less than a thread's stack: small allocations still succeed."""
    process = psutil.Process(own_hostile.process.pid)
    own_hostile.check_new_clients()
    process.rlimit(psutil.RLIMIT_AS, (process.memory_info().vms + 4 * MIB, -1))

    failed = [own_hostile.ask(build("/wait/0", "a")).status for _ in range(10)]
    own_hostile.check_new_clients()
    process.rlimit(psutil.RLIMIT_AS, (-1, -1))
    succeeded = own_hostile.ask(build("/wait/0", "a")).status

    assert set(failed) <= {429, 500, 503}
    assert succeeded == 200


def test_requests_beyond_the_queue_of_the_threads_get_429_at_once(hostile: Running) -> None:
    served, refused = SETTINGS.max_threads + SETTINGS.max_waiting, 10
    with ExitStack() as stack:
        connections = [stack.enter_context(hostile.connect()) for _ in range(served + refused)]
        for number, connection in enumerate(connections):
            connection.sendall(build("/wait/1", str(number)))
        time.sleep(0.7)  # less than the first of them takes
        early = select.select(connections, [], [], 0)[0]
        hostile.check_new_clients()
        answers = {connection: Wire(connection).read_answer() for connection in connections}

    assert [answers[connection].status for connection in early] == [429] * refused
    assert sorted(answer.status for answer in answers.values()) == [200] * served + [429] * refused


def test_queue_is_free_again_after_its_clients_are_gone(hostile: Running) -> None:
    served = SETTINGS.max_threads + SETTINGS.max_waiting
    with ExitStack() as stack:
        for number in range(served):
            stack.enter_context(hostile.connect()).sendall(build("/wait/0.1", str(number)))
    deadline = time.monotonic() + 10
    while hostile.ask(build("/wait/0", "a")).status == 429 and time.monotonic() < deadline:
        time.sleep(0.05)

    for number in range(3 * served):
        assert hostile.ask(build("/wait/0", str(number))).find("X-Id") == str(number)


def test_without_file_descriptors_new_clients_are_answered(own_hostile: Running) -> None:
    process = psutil.Process(own_hostile.process.pid)
    own_hostile.check_new_clients()
    process.rlimit(psutil.RLIMIT_NOFILE, (own_hostile.count_files() + 3, 4096))
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(own_hostile.connect())
        for _ in range(5):
            own_hostile.check_new_clients()
        cpu = sum(process.cpu_times()[:2])
        time.sleep(1)
        cpu = sum(process.cpu_times()[:2]) - cpu

    assert cpu < 0.3, "the loop retries without a pause"
    assert len(own_hostile.log) < MAX_LOG_BYTES
