"""Names that do not resolve in time, and addresses that do not answer in front of one that does."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from kubernetes.client import Configuration
from urllib3 import Timeout

from injector.deadlines import API_CONNECT_SECONDS, LIVE_READ_SECONDS, WATCH_CONNECT_SECONDS
from injector.errors import UnreachableError
from injector.k8s import deadline_connection
from injector.k8s.client import ApiClient
from injector.k8s.resolver import MAX_ADDRESSES, Resolver, look_up
from server.first_connection import Address
from testing.raw_server import raw_server
from tests.unit.server.addresses import build_address, dead_addresses

PATH = "/api/v1/namespaces/team-a"
BODY = b'{"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "team-a"}}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
SLACK_SECONDS = 2
"""Of a loaded machine."""


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> list[Address]:
    """What every name resolves to."""
    found: list[Address] = []
    monkeypatch.setattr(deadline_connection, "RESOLVER", Resolver(lambda _host, _port: found))
    return found


@pytest.mark.parametrize("dead", [1, 4, MAX_ADDRESSES - 1])
@pytest.mark.parametrize(
    "timeout",
    [
        pytest.param(Timeout(total=LIVE_READ_SECONDS), id="live-read"),
        pytest.param(Timeout(connect=WATCH_CONNECT_SECONDS, read=5), id="watch"),
        pytest.param(Timeout(connect=API_CONNECT_SECONDS, read=5), id="command"),
    ],
)
def test_dead_addresses_before_a_good_one_leave_time_for_the_answer(
    addresses: list[Address], timeout: Timeout, dead: int
) -> None:
    with dead_addresses(dead) as found, raw_server(ANSWER) as server:
        addresses += [*found, build_address(server.port)]
        with ApiClient(Configuration(host="http://api.example"), timeout) as client:
            started = time.monotonic()
            assert client.get(PATH)["kind"] == "Namespace"
            assert time.monotonic() - started < WATCH_CONNECT_SECONDS


def test_dead_addresses_alone_end_at_the_deadline(addresses: list[Address]) -> None:
    with dead_addresses(4) as found, ApiClient(Configuration(host="http://api.example"), Timeout(total=1)) as client:
        addresses += found
        started = time.monotonic()

        with pytest.raises(UnreachableError, match=f"cannot get {PATH}: .*timed out"):
            client.get(PATH)
    assert time.monotonic() - started < 1 + SLACK_SECONDS  # four times one second without a common deadline


class HangingLookUp:
    """A name server that does not answer until the test lets it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.answers = threading.Event()

    def __call__(self, host: str, port: int) -> Sequence[Address]:
        self.calls.append(host)
        self.answers.wait(20)
        return [build_address(port)]


@pytest.fixture
def hanging() -> Iterator[HangingLookUp]:
    look_up_slowly = HangingLookUp()
    yield look_up_slowly
    look_up_slowly.answers.set()


def test_name_that_does_not_resolve_ends_at_the_deadline(
    hanging: HangingLookUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline_connection, "RESOLVER", Resolver(hanging))
    with ApiClient(Configuration(host="http://api.example"), Timeout(total=0.3)) as client:
        started = time.monotonic()

        with pytest.raises(UnreachableError, match=f"cannot get {PATH}: .*timed out"):
            client.get(PATH)
    assert time.monotonic() - started < SLACK_SECONDS


def test_many_who_give_up_share_one_thread_for_a_name(hanging: HangingLookUp) -> None:
    resolver = Resolver(hanging)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            resolver.resolve("api.example", 443, 0.01)

    assert hanging.calls == ["api.example"]
    hanging.answers.set()
    assert resolver.resolve("api.example", 443, 20) == [build_address(443)]


def test_name_is_looked_up_again_for_each_connection_and_after_a_failure() -> None:
    answers: list[Sequence[Address] | OSError] = [
        [build_address(1)],
        socket.gaierror("no such name"),
        [build_address(2)] * 100,
    ]

    def look_up_next(_host: str, _port: int) -> Sequence[Address]:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    resolver = Resolver(look_up_next)
    assert resolver.resolve("api.example", 443, 20) == [build_address(1)]
    with pytest.raises(socket.gaierror):
        resolver.resolve("api.example", 443, 20)
    assert resolver.resolve("api.example", 443, 20) == [build_address(2)] * MAX_ADDRESSES


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_address_is_no_name_and_needs_no_thread(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "Thread", None)

    assert [found[4][:2] for found in Resolver(look_up).resolve(host, 443, 0.0)] == [(host, 443)]


def test_thread_that_cannot_start_is_an_error_and_the_next_look_up_can_succeed(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(lambda _host, port: [build_address(port)])

    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(OSError, match=r"cannot look up api\.example: can't start new thread"):
            resolver.resolve("api.example", 443, 20)
    assert resolver.resolve("api.example", 443, 20) == [build_address(443)]
