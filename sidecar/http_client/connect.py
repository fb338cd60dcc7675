"""Connects to a host by whichever of its addresses accepts first ("Happy Eyeballs").

https://www.rfc-editor.org/rfc/rfc8305
"""

import errno
import os
import selectors
import socket
from collections import deque
from collections.abc import Sequence
from itertools import zip_longest

from sidecar.deadlines import CONNECT_STAGGER_SECONDS
from sidecar.http_client.resolve import Address, resolve
from sidecar.http_client.stream import Deadline
from sidecar.http_client.url import Url


def connect(url: Url, deadline: Deadline, timeout_seconds: float) -> socket.socket:
    """Connect to any address of the host; raise OSError, at the latest at the deadline.

    `timeout_seconds` is for all addresses together, once the name is resolved.
    """
    addresses = interleave(resolve(url.host, url.port, deadline))
    return connect_any(addresses, Deadline(min(timeout_seconds, deadline.remaining())))


def interleave(addresses: Sequence[Address]) -> list[Address]:
    """Let the families alternate, so that one without a way to the host delays the other only once.

    https://www.rfc-editor.org/rfc/rfc8305#section-4
    """
    preferred = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    return [address for pair in zip_longest(preferred, others) for address in pair if address]


def connect_any(addresses: Sequence[Address], deadline: Deadline) -> socket.socket:
    """Return the first connection; raise TimeoutError at the deadline, or the first error once no address is left.

    An address that fails is followed by the next at once, one that does not answer after CONNECT_STAGGER_SECONDS.
    """
    left = deque(addresses)
    race = Race()
    with race.selector:
        try:
            while left or race.selector.get_map():
                remaining = deadline.remaining()
                if left and not race.start(left.popleft()):
                    continue
                if connected := race.wait(min(remaining, CONNECT_STAGGER_SECONDS) if left else remaining):
                    return connected
        finally:
            race.close()
    raise race.error or OSError("the name has no address")


class Race:
    """Connections that are being established."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.error: OSError | None = None
        """The first one: addresses come in the order of preference."""

    def start(self, address: Address) -> bool:
        """Start to connect; return False if that fails at once, such as without a route."""
        family, kind, protocol, _, place = address
        try:
            connection = socket.socket(family, kind, protocol)
        except OSError as error:  # such as IPv6, switched off in the kernel
            self.error = self.error or error
            return False
        connection.settimeout(0)
        code = connection.connect_ex(place)
        if code not in {0, errno.EINPROGRESS}:
            self._fail(connection, code)
            return False
        self.selector.register(connection, selectors.EVENT_WRITE, connection)
        return True

    def wait(self, seconds: float) -> socket.socket | None:
        """Wait until a connection is established or fails; return it if it is established."""
        for key, _ in self.selector.select(seconds):
            connection: socket.socket = key.data
            self.selector.unregister(connection)
            code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                return connection
            self._fail(connection, code)
        return None

    def close(self) -> None:
        """Give up all others."""
        for key in [*self.selector.get_map().values()]:
            self.selector.unregister(key.fileobj)
            key.data.close()

    def _fail(self, connection: socket.socket, code: int) -> None:
        connection.close()
        self.error = self.error or OSError(code, os.strerror(code))
