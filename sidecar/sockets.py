"""Reading from a socket with a deadline, and one GET request. `http.client` would cost 2 MiB of memory."""

import socket
import time
from typing import NamedTuple

MAX_REPLY_BYTES = 64 * 1024


class Reply(NamedTuple):
    """A complete response."""

    status: int
    body: bytes


def receive_all(connection: socket.socket, deadline: float, max_bytes: int) -> bytes:
    """Read until the other side closes; raise TimeoutError at the deadline (monotonic), ValueError above the limit."""
    received = b""
    while len(received) <= max_bytes:
        connection.settimeout(_find_remaining(deadline))
        data = connection.recv(max_bytes)
        if not data:
            return received
        received += data
    raise ValueError(f"it is larger than {max_bytes} bytes")


def http_get(address: str, port: int, path: str, timeout_seconds: float) -> Reply:
    """Send a request to an IP address by HTTP/1.0, which the server ends by closing the connection.

    Raise OSError, at the latest after `timeout_seconds`; ValueError if the response is too large or not HTTP.
    """
    deadline = time.monotonic() + timeout_seconds
    family, host = (socket.AF_INET6, f"[{address}]") if ":" in address else (socket.AF_INET, address)
    with socket.socket(family, socket.SOCK_STREAM) as connection:  # create_connection() imports the codec for names
        connection.settimeout(timeout_seconds)
        connection.connect((address, port))
        connection.settimeout(_find_remaining(deadline))
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
        return parse_reply(receive_all(connection, deadline, MAX_REPLY_BYTES))


def parse_reply(received: bytes) -> Reply:
    """Split a response into its status and body; raise ValueError if it is not HTTP."""
    head, _, body = received.partition(b"\r\n\r\n")
    version, _, rest = head.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise ValueError("it is not HTTP")
    return Reply(int(rest[:3]), body)


def _find_remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("timed out")
    return remaining
