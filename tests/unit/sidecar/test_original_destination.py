"""The original destination of a connection, without a redirect; tests/integration/netns has those with one."""

import socket
import struct
from collections.abc import Iterator

import pytest

from sidecar.original_destination import SO_ORIGINAL_DST, find_original_destination

IPV4 = struct.pack("!HH4s8x", socket.AF_INET, 80, socket.inet_aton("169.254.170.2"))
IPV6 = struct.pack("!HHI16sI", socket.AF_INET6, 80, 0, socket.inet_pton(socket.AF_INET6, "fd00:ec2::23"), 0)


class Accepted:
    """A socket whose kernel gives this answer."""

    def __init__(self, family: int, answer: bytes | OSError) -> None:
        self.family = family
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
    ],
)
def test_unknown_destination_is_none(family: int, answer: bytes | OSError) -> None:
    assert find_original_destination(Accepted(family, answer)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("family", "answer", "level", "address"),
    [
        pytest.param(socket.AF_INET, IPV4, socket.SOL_IP, "169.254.170.2", id="ipv4"),
        pytest.param(socket.AF_INET6, IPV6, socket.IPPROTO_IPV6, "fd00:ec2::23", id="ipv6"),
    ],
)
def test_destination_is_read_with_one_call(family: int, answer: bytes, level: int, address: str) -> None:
    accepted = Accepted(family, answer)

    assert find_original_destination(accepted) == (address, 80)  # type: ignore[arg-type]
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
    found = find_original_destination(accepted)

    assert found in {None, accepted.getsockname()[:2]}
