"""Connects to the host of a URL."""

import socket

from server.first_connection import connect_first
from sidecar.http_client.resolve import resolve
from sidecar.http_client.stream import Deadline
from sidecar.http_client.url import Url


def connect(url: Url, deadline: Deadline, timeout_seconds: float) -> socket.socket:
    """Connect to any address of the host; raise OSError, at the latest at the deadline.

    `timeout_seconds` is for all addresses together, once the name is resolved.
    """
    addresses = resolve(url.host, url.port, deadline)
    return connect_first(addresses, min(timeout_seconds, deadline.remaining()))
