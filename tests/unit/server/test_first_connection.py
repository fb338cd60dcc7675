"""A name with several addresses, of which some refuse, do not answer, or answer late."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.first_connection import Address, connect_first, interleave
from testing.ports import find_free_port
from tests.unit.server.addresses import build_address, dead_addresses, full_listener

LOST_SYN_SECONDS = 1
"""After this time Linux sends the first packet of a connection again."""


UNSUPPORTED = build_address(1, family=socket.AF_X25)
UNROUTABLE = build_address(80, "255.255.255.255")


@pytest.fixture
def dead() -> Iterator[list[Address]]:
    """Eight addresses that do not answer."""
    with dead_addresses(8) as addresses:
        yield addresses


@pytest.fixture
def good() -> Iterator[Address]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield build_address(listener.getsockname()[1])


def find_port(connection: socket.socket) -> int:
    with connection:
        return int(connection.getpeername()[1])


def test_all_addresses_together_have_one_timeout(dead: list[Address]) -> None:
    began = time.monotonic()

    with pytest.raises(TimeoutError, match="timed out"):
        connect_first(dead, 0.5)

    assert 0.5 <= time.monotonic() - began < 3.5


def test_error_is_the_preferred_addresss() -> None:
    with pytest.raises(ConnectionRefusedError):
        connect_first([build_address(find_free_port()), UNSUPPORTED], 5)


def test_name_without_addresses_is_an_error() -> None:
    with pytest.raises(OSError, match="no address"):
        connect_first([], 5)


def test_past_deadline_is_a_timeout_although_an_address_accepts(good: Address) -> None:
    with pytest.raises(TimeoutError):
        connect_first([good], 0)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_dead_addresses_delay_the_good_one_by_a_quarter_of_a_second_each(
    dead: list[Address], good: Address, count: int
) -> None:
    began = time.monotonic()

    port = find_port(connect_first([*dead[:count], good], 10))

    assert port == good[4][1]
    assert 0.25 * count <= time.monotonic() - began < 0.25 * count + 4


def test_refusing_addresses_delay_the_good_one_by_nothing(good: Address) -> None:
    refusing = [build_address(find_free_port()) for _ in range(40)]
    began = time.monotonic()

    port = find_port(connect_first([UNSUPPORTED, *refusing, UNROUTABLE, UNSUPPORTED, good], 10))

    assert port == good[4][1]
    assert time.monotonic() - began < 5


def test_address_that_answers_late_is_used_if_the_others_do_not_answer(dead: list[Address]) -> None:
    def make_room(listener: socket.socket) -> None:
        listener.accept()[0].close()

    with full_listener() as late:
        timer = threading.Timer(0.4, make_room, [late])  # before the packet that is sent again
        timer.start()
        began = time.monotonic()

        port = find_port(connect_first([build_address(late.getsockname()[1]), *dead], 10))

        timer.join()
        assert port == late.getsockname()[1]
    assert time.monotonic() - began >= 0.9 * LOST_SYN_SECONDS


def list_descriptors() -> set[str]:
    return {file.name for file in Path("/proc/self/fd").iterdir()}


def test_no_other_connection_stays_open(dead: list[Address], good: Address) -> None:
    before = list_descriptors()

    connect_first([*dead[:2], build_address(find_free_port()), good, *dead[2:]], 5).close()
    for addresses in ([UNSUPPORTED, *dead], [build_address(find_free_port())]):
        with pytest.raises(OSError, match=r"timed out|refused"):
            connect_first(addresses, 0.6)

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
