"""A name with several addresses, of which some refuse, do not answer, or answer late."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sidecar.http_client.connect import connect, connect_any, interleave
from sidecar.http_client.resolve import Address
from sidecar.http_client.stream import Deadline
from sidecar.http_client.url import parse_url
from testing.ports import find_free_port

LOST_SYN_SECONDS = 1
"""After this time Linux sends the first packet of a connection again."""


def build_address(port: int, family: int = socket.AF_INET) -> Address:
    return family, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)


UNSUPPORTED = build_address(1, socket.AF_X25)


@contextmanager
def full_listener() -> Iterator[socket.socket]:
    """A listener that drops new connections until the waiting one is accepted."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        yield full


@pytest.fixture
def dead() -> Iterator[list[Address]]:
    """Eight addresses that do not answer."""
    with ExitStack() as stack:
        yield [build_address(stack.enter_context(full_listener()).getsockname()[1]) for _ in range(8)]


@pytest.fixture
def good() -> Iterator[Address]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield build_address(listener.getsockname()[1])


def find_port(connection: socket.socket) -> int:
    with connection:
        return int(connection.getpeername()[1])


def test_all_addresses_together_have_one_timeout(dead: list[Address], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: dead)
    began = time.monotonic()

    with pytest.raises(TimeoutError):
        connect(parse_url("http://sts.example"), Deadline(10), 0.5)

    assert 0.5 <= time.monotonic() - began < 3.5


def test_error_is_the_preferred_addresss() -> None:
    with pytest.raises(ConnectionRefusedError):
        connect_any([build_address(find_free_port()), UNSUPPORTED], Deadline(5))


def test_name_without_addresses_is_an_error() -> None:
    with pytest.raises(OSError, match="no address"):
        connect_any([], Deadline(5))


def test_past_deadline_is_a_timeout_although_an_address_accepts(good: Address) -> None:
    with pytest.raises(TimeoutError):
        connect_any([good], Deadline(0))


@pytest.mark.parametrize("count", [1, 2, 4])
def test_dead_addresses_delay_the_good_one_by_a_quarter_of_a_second_each(
    dead: list[Address], good: Address, count: int
) -> None:
    began = time.monotonic()

    port = find_port(connect_any([*dead[:count], good], Deadline(10)))

    assert port == good[4][1]
    assert 0.25 * count <= time.monotonic() - began < 0.25 * count + 4


def test_refusing_addresses_delay_the_good_one_by_nothing(good: Address) -> None:
    refusing = [build_address(find_free_port()) for _ in range(40)]
    began = time.monotonic()

    port = find_port(connect_any([UNSUPPORTED, *refusing, UNSUPPORTED, good], Deadline(10)))

    assert port == good[4][1]
    assert time.monotonic() - began < 5


def test_address_that_answers_late_is_used_if_the_others_do_not_answer(dead: list[Address]) -> None:
    def make_room(listener: socket.socket) -> None:
        listener.accept()[0].close()

    with full_listener() as late:
        timer = threading.Timer(0.4, make_room, [late])  # before the packet that is sent again
        timer.start()
        began = time.monotonic()

        port = find_port(connect_any([build_address(late.getsockname()[1]), *dead], Deadline(10)))

        timer.join()
        assert port == late.getsockname()[1]
    assert time.monotonic() - began >= 0.9 * LOST_SYN_SECONDS


def list_descriptors() -> set[str]:
    return {file.name for file in Path("/proc/self/fd").iterdir()}


def test_no_other_connection_stays_open(dead: list[Address], good: Address) -> None:
    before = list_descriptors()

    connect_any([*dead[:2], build_address(find_free_port()), good, *dead[2:]], Deadline(5)).close()
    for addresses in ([UNSUPPORTED, *dead], [build_address(find_free_port())]):
        with pytest.raises(OSError, match=r"timed out|refused"):
            connect_any(addresses, Deadline(0.6))

    assert list_descriptors() == before


FAMILIES = {"4": socket.AF_INET, "6": socket.AF_INET6}


@pytest.mark.parametrize(
    ("resolved", "expected"),
    [
        pytest.param([], [], id="none"),
        pytest.param(["4a", "4b"], ["4a", "4b"], id="one-family"),
        pytest.param(["6a", "6b", "6c", "4a", "4b"], ["6a", "4a", "6b", "4b", "6c"], id="ipv6-preferred"),
        pytest.param(["4a", "6a", "6b"], ["4a", "6a", "6b"], id="ipv4-preferred"),
    ],
)
def test_families_alternate_and_keep_their_order(resolved: list[str], expected: list[str]) -> None:
    addresses: list[Address] = [(FAMILIES[name[0]], 1, 6, "", (name, 80)) for name in resolved]

    assert [address[4][0] for address in interleave(addresses)] == expected
