"""The original destination of a connection, without a redirect; tests/integration/netns has those with one."""

import socket
import struct
from collections.abc import Iterator

import pytest

from sidecar.original_destination import SO_ORIGINAL_DST, create_finder


def pack_ipv4(address: str, port: int) -> bytes:
    """A struct sockaddr_in."""
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, socket.inet_aton(address))


def pack_ipv6(address: str, port: int, flow: int = 0) -> bytes:
    """A struct sockaddr_in6."""
    packed = socket.inet_pton(socket.AF_INET6, address)
    return struct.pack("=H", socket.AF_INET6) + struct.pack("!HI16sI", port, flow, packed, 0)


class Accepted:
    """A socket whose kernel gives this answer."""

    def __init__(self, answer: bytes | OSError) -> None:
        self.asked: list[tuple[int, int, int]] = []
        self._answer = answer

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        self.asked.append((level, option, size))
        if isinstance(self._answer, OSError):
            raise self._answer
        return self._answer


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(FileNotFoundError(2, "not tracked"), id="enoent"),
        pytest.param(OSError(92, "no such option"), id="enoprotoopt"),
        pytest.param(PermissionError(1, "seccomp"), id="eperm"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\x02\x00\x00\x50\xa9", id="short"),
        pytest.param(pack_ipv4("127.0.0.1", 16925), id="sidecars-port"),
        pytest.param(pack_ipv6("::1", 16925), id="sidecars-port-ipv6"),
        pytest.param(pack_ipv4("169.254.169.254", 8080), id="another-port"),
        pytest.param(pack_ipv6("fd00:ec2::254", 8080), id="another-port-ipv6"),
        pytest.param(pack_ipv4("169.254.169.253", 80), id="another-address"),
        pytest.param(pack_ipv6("fd00:ec2::253", 80), id="another-address-ipv6"),
        pytest.param(pack_ipv6("::ffff:169.254.169.254", 80), id="mapped-address"),
    ],
)
def test_connection_without_a_metadata_address_has_none(family: int, answer: bytes | OSError) -> None:
    assert create_finder(family)(Accepted(answer)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("family", "answer", "level", "address"),
    [
        pytest.param(socket.AF_INET, pack_ipv4("169.254.170.2", 80), socket.SOL_IP, "169.254.170.2", id="ipv4"),
        pytest.param(socket.AF_INET6, pack_ipv6("fd00:ec2::23", 80), socket.IPPROTO_IPV6, "fd00:ec2::23", id="ipv6"),
        pytest.param(
            socket.AF_INET6, pack_ipv6("fd00:ec2::254", 80, 7), socket.IPPROTO_IPV6, "fd00:ec2::254", id="flow-label"
        ),
    ],
)
def test_destination_is_read_with_one_call(family: int, answer: bytes, level: int, address: str) -> None:
    accepted = Accepted(answer)

    assert create_finder(family)(accepted) == (address, 80)  # type: ignore[arg-type]
    assert accepted.asked == [(level, SO_ORIGINAL_DST, len(answer))]


@pytest.fixture(params=[(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["ipv4", "ipv6"])
def accepted(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """One end of a connection on loopback."""
    family, address = request.param
    with (
        socket.create_server((address, 0), family=family) as listener,
        socket.create_connection(listener.getsockname()[:2]),
        listener.accept()[0] as connection,
    ):
        yield connection


def test_connection_on_loopback_has_no_other_destination(accepted: socket.socket) -> None:
    assert create_finder(accepted.family)(accepted) is None
