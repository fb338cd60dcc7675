"""Names that do not resolve in time, and addresses that do not answer in front of one that does."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import psutil
import pytest
from kubernetes.client import Configuration
from urllib3 import Timeout

from injector.deadlines import API_CONNECT_SECONDS, LIVE_READ_SECONDS, WATCH_CONNECT_SECONDS
from injector.errors import UnreachableError
from injector.k8s import deadline_connection
from injector.k8s.client import ApiClient
from injector.k8s.first_connection import MAX_ADDRESSES, Address, Resolver, connect_first, look_up
from testing.ports import find_free_port
from testing.raw_server import raw_server
from tests.unit.injector.k8s.watched_cluster import wait_until

PATH = "/api/v1/namespaces/team-a"
BODY = b'{"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "team-a"}}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
SLACK_SECONDS = 2
"""Of a loaded machine."""


def at(port: int, host: str = "127.0.0.1") -> Address:
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port)


@contextmanager
def dead_address() -> Iterator[Address]:
    """An address that does not answer: its queue of connections is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        yield at(full.getsockname()[1])


@contextmanager
def dead_addresses(count: int) -> Iterator[Sequence[Address]]:
    with ExitStack() as stack:
        yield [stack.enter_context(dead_address()) for _ in range(count)]


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
        addresses += [*found, at(server.port)]
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


def test_address_that_refuses_or_has_no_route_is_followed_by_the_next_at_once() -> None:
    refusing, unsupported = at(find_free_port()), (socket.AF_X25, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))
    unroutable = at(80, "255.255.255.255")
    with raw_server(ANSWER) as server:
        started = time.monotonic()
        with connect_first([unsupported, refusing, unroutable, refusing, at(server.port)], 60) as connected:
            assert connected.getpeername() == ("127.0.0.1", server.port)
    assert time.monotonic() - started < SLACK_SECONDS


def test_addresses_that_all_refuse_are_an_error_with_the_last_reason() -> None:
    with pytest.raises(ConnectionRefusedError, match="Connection refused"):
        connect_first([at(find_free_port())] * 3, 60)


def test_name_without_an_address_is_an_error() -> None:
    with pytest.raises(OSError, match="no address"):
        connect_first([], 60)


def test_no_socket_is_left_open_but_the_connected_one() -> None:
    with dead_addresses(2) as found, raw_server(ANSWER) as server:
        before = count_sockets()
        with connect_first([*found, at(server.port)], 2):
            wait_until("both ends of the winner are left", lambda: count_sockets() == before + 2)
        with pytest.raises(TimeoutError):
            connect_first(found, 0.1)
        wait_until("none is left", lambda: count_sockets() == before)


def count_sockets() -> int:
    """Of this process."""
    return len(psutil.Process().net_connections("tcp"))


class HangingLookUp:
    """A name server that does not answer until the test lets it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.answers = threading.Event()

    def __call__(self, host: str, port: int) -> Sequence[Address]:
        self.calls.append(host)
        self.answers.wait(20)
        return [at(port)]


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
    assert resolver.resolve("api.example", 443, 20) == [at(443)]


def test_name_is_looked_up_again_for_each_connection_and_after_a_failure() -> None:
    answers: list[Sequence[Address] | OSError] = [[at(1)], socket.gaierror("no such name"), [at(2)] * 100]

    def look_up_next(_host: str, _port: int) -> Sequence[Address]:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    resolver = Resolver(look_up_next)
    assert resolver.resolve("api.example", 443, 20) == [at(1)]
    with pytest.raises(socket.gaierror):
        resolver.resolve("api.example", 443, 20)
    assert resolver.resolve("api.example", 443, 20) == [at(2)] * MAX_ADDRESSES


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_address_is_no_name_and_needs_no_thread(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "Thread", None)

    assert [found[4][:2] for found in Resolver(look_up).resolve(host, 443, 0.0)] == [(host, 443)]


def test_thread_that_cannot_start_is_an_error_and_the_next_look_up_can_succeed(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(lambda _host, port: [at(port)])

    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(OSError, match=r"cannot look up api\.example: can't start new thread"):
            resolver.resolve("api.example", 443, 20)
    assert resolver.resolve("api.example", 443, 20) == [at(443)]
