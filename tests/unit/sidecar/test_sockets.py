"""The request of the self-check and of the status command, against servers that respond wrongly or not at all."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

import pytest

from sidecar.sockets import MAX_REPLY_BYTES, Reply, http_get, receive_all
from testing.ports import find_free_port
from testing.repository import ROOT


@contextmanager
def serving(*pieces: bytes, pause_seconds: float = 0, address: str = "127.0.0.1") -> Iterator[tuple[int, list[bytes]]]:
    """Accept one connection, and send the pieces with pauses; yield the port and what was received."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    received: list[bytes] = []
    is_over = threading.Event()
    with socket.create_server((address, 0), family=family) as listener:

        def run() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                received.append(connection.recv(65536))
                for piece in pieces:
                    connection.sendall(piece)
                    is_over.wait(pause_seconds)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listener.getsockname()[1], received
        finally:
            is_over.set()
            thread.join()


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="other-protocol"),
        pytest.param(b"HTTP/1.0\r\n\r\n", id="no-status"),
        pytest.param(b"HTTP/1.0 abc\r\n\r\n", id="status-is-not-a-number"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\n" + b"a" * MAX_REPLY_BYTES, id="too-large"),
        pytest.param(b"a" * 2 * MAX_REPLY_BYTES, id="endless-line"),
    ],
)
def test_response_that_is_not_valid_is_a_value_error(response: bytes) -> None:
    with serving(response) as (port, _), pytest.raises(ValueError, match=r"it is (not HTTP|larger than)"):
        http_get("127.0.0.1", port, "/", 5)


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b"H"] * 1000, id="one-byte-after-the-other"),
        pytest.param([b"HTTP/1.0 200 OK\r\n\r\n", b""], id="unfinished"),
    ],
)
def test_server_that_does_not_finish_is_a_timeout(pieces: list[bytes]) -> None:
    started_at = time.monotonic()

    with serving(*pieces, pause_seconds=0.05 if len(pieces) > 2 else 30) as (port, _), pytest.raises(TimeoutError):
        http_get("127.0.0.1", port, "/", 0.3)

    assert time.monotonic() - started_at < 3


def test_connection_request_and_response_share_one_timeout() -> None:
    """The connection takes 3 s, as Linux repeats its first packet after 1 and 3 s; then nothing reads the request."""

    def make_room(listener: socket.socket) -> None:
        listener.accept()[0].close()

    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        timer = threading.Timer(1.5, make_room, [full])
        timer.start()
        started_at = time.monotonic()

        with pytest.raises(TimeoutError):
            http_get("127.0.0.1", full.getsockname()[1], "/" + "x" * 16_000_000, 4)

        timer.join()
        assert 4 <= time.monotonic() - started_at < 6.5


def test_passed_deadline_is_a_timeout_although_data_is_there() -> None:
    ours, its = socket.socketpair()
    with ours, its:
        its.sendall(b"data")
        its.shutdown(socket.SHUT_WR)

        with pytest.raises(TimeoutError):
            receive_all(ours, time.monotonic(), 10)


@pytest.mark.parametrize(("size", "is_error"), [(10, False), (11, True)], ids=["at-the-limit", "above-the-limit"])
def test_more_than_the_limit_is_a_value_error(size: int, is_error: bool) -> None:  # noqa: FBT001 - of the table
    ours, its = socket.socketpair()
    with ours, its:
        its.sendall(b"x" * size)
        its.shutdown(socket.SHUT_WR)

        with pytest.raises(ValueError, match="larger than 10 bytes") if is_error else nullcontext():
            assert receive_all(ours, time.monotonic() + 5, 10) == b"x" * size


def test_closed_port_is_an_os_error() -> None:
    with pytest.raises(ConnectionRefusedError):
        http_get("127.0.0.1", find_free_port(), "/", 5)


@pytest.mark.parametrize(
    ("address", "host"),
    [pytest.param("127.0.0.1", "127.0.0.1", id="ipv4"), pytest.param("::1", "[::1]", id="ipv6")],
)
def test_response_in_pieces_is_returned_whole(address: str, host: str) -> None:
    pieces = [b"HTTP/1.1 404 Not ", b"Found\r\nServer: x\r\n", b"\r\n", b"one\r\n\r\ntwo"]

    with serving(*pieces, pause_seconds=0.01, address=address) as (port, received):
        reply = http_get(address, port, "/podrole/boot", 5)

    assert reply == Reply(404, b"one\r\n\r\ntwo")
    assert received == [f"GET /podrole/boot HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode()]


def test_request_does_not_import_the_codec_for_names() -> None:
    """It takes 0.3 MiB, and the address needs none."""
    program = f"""
import contextlib, sys
from sidecar.sockets import http_get
with contextlib.suppress(ConnectionRefusedError):
    http_get("127.0.0.1", {find_free_port()}, "/", 5)
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert "sidecar.sockets" in done.stdout.split()
    assert "encodings.idna" not in done.stdout.split()
