"""A resolver that blocks. tests/integration/sidecar/test_dead_addresses.py has the C library's, with a DNS server."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from server.first_connection import Address
from sidecar.http_client.resolve import MAX_LATE_SECONDS, resolve
from sidecar.http_client.stream import Deadline

FOUND: Address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))
NAME = "sts.example"


class Resolver:
    """Answers no name before `answered` is set."""

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.asked: list[bytes] = []
        self.error: Exception | None = None
        self._asked = threading.Semaphore(0)

    def wait_until_asked(self, times: int) -> None:
        for _ in range(times):
            assert self._asked.acquire(timeout=10)

    def __call__(self, name: bytes, _port: int, *, type: int, flags: int = 0) -> list[Any]:  # noqa: A002, ARG002 - as the real one
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        self.asked.append(name)
        self._asked.release()
        self.answered.wait(20)
        if self.error:
            raise self.error
        return [FOUND]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    yield resolver
    resolver.error = None
    resolver.answered.set()
    for name in {*resolver.asked}:
        resolve(name.decode(), 80, Deadline(5))  # no other test gets a late answer


def list_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "resolve"]


def test_resolver_that_blocks_is_a_timeout_at_the_deadline(resolver: Resolver) -> None:
    began = time.monotonic()

    with pytest.raises(TimeoutError, match="the name was not resolved in time"):
        resolve(NAME, 80, Deadline(1))

    assert 1 <= time.monotonic() - began < 5
    assert resolver.asked == [b"sts.example"]


def test_resolver_that_blocks_has_one_thread_for_each_name(resolver: Resolver) -> None:
    for name in ("a.example", "b.example") * 3:
        with pytest.raises(TimeoutError):
            resolve(name, 80, Deadline(0.01))

    resolver.wait_until_asked(2)
    assert {*resolver.asked} == {b"a.example", b"b.example"}
    assert len(list_threads()) == 2


def give_up(resolver: Resolver) -> None:
    """Ask, and let the answer come too late."""
    with pytest.raises(TimeoutError):
        resolve(NAME, 80, Deadline(0.01))
    [thread] = list_threads()
    resolver.answered.set()
    thread.join(5)


def test_answer_that_comes_while_the_next_call_waits_is_its_answer(resolver: Resolver) -> None:
    with pytest.raises(TimeoutError):
        resolve(NAME, 80, Deadline(0.01))
    threading.Timer(0.1, resolver.answered.set).start()

    assert resolve(NAME, 80, Deadline(5)) == [FOUND]
    assert len(resolver.asked) == 1


def test_answer_that_comes_after_the_deadline_is_the_next_calls_and_no_others(resolver: Resolver) -> None:
    give_up(resolver)

    for asked in (1, 2):
        assert resolve(NAME, 80, Deadline(5)) == [FOUND]
        assert len(resolver.asked) == asked


def test_answer_that_nobody_took_for_a_minute_is_asked_for_again(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_up(resolver)
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    monkeypatch.setattr(time, "clock_gettime", lambda _: now + MAX_LATE_SECONDS + 1)

    resolve(NAME, 80, Deadline(5))

    assert len(resolver.asked) == 2


def test_error_that_comes_after_the_deadline_is_not_the_next_calls(resolver: Resolver) -> None:
    resolver.error = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    give_up(resolver)
    resolver.error = None

    assert resolve(NAME, 80, Deadline(5)) == [FOUND]


def test_each_call_asks_again_after_an_answer(resolver: Resolver) -> None:
    resolver.answered.set()
    resolver.error = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    for _ in range(2):
        with pytest.raises(socket.gaierror):
            resolve(NAME, 80, Deadline(5))
    resolver.error = None

    assert resolve(NAME, 80, Deadline(5)) == [FOUND]
    assert len(resolver.asked) == 3


def test_limit_of_processes_is_an_error_and_the_next_call_starts_a_thread(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    resolver.answered.set()
    size = threading.stack_size()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)

        with pytest.raises(OSError, match="no thread could be started"):
            resolve(NAME, 80, Deadline(5))

    assert resolve(NAME, 80, Deadline(5)) == [FOUND]
    assert threading.stack_size() == size


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "fd00:ec2::23"])
def test_address_needs_no_thread(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", lambda _: pytest.fail("a thread was started"))

    [found] = resolve(address, 443, Deadline(5))

    assert found[4][:2] == (address, 443)
