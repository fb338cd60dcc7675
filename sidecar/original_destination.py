"""Where a client connected to before the redirect changed the destination: the kernel's connection tracking knows it.

The redirect is a DNAT, so a redirected connection always has an entry there. The kernel returns the sidecar's own
address, or an error, for a connection that came to the sidecar's port directly, such as a port-forward.
https://man7.org/linux/man-pages/man7/ip.7.html
"""

import socket
from collections.abc import Callable

import contract
from server.messages import Address

SO_ORIGINAL_DST = 80
"""Of SOL_IP; IP6T_SO_ORIGINAL_DST of SOL_IPV6 has the same number (linux/netfilter_ipv4.h, linux/netfilter_ipv6.h)."""

METADATA_PORT = 80
METADATA_DESTINATIONS = frozenset((address, METADATA_PORT) for address in contract.METADATA_ADDRESSES)
"""What the rules redirect to the sidecar."""


def create_finder(family: int) -> Callable[[socket.socket], Address | None]:
    """Return a function that finds a connection's metadata address and port; None if it was not redirected from one.

    It runs for each connection, so it compares the kernel's bytes (struct sockaddr_in or sockaddr_in6) with a table.
    """
    is_ipv6 = family == socket.AF_INET6
    level, size, place = (socket.IPPROTO_IPV6, 28, slice(8, 24)) if is_ipv6 else (socket.IPPROTO_IP, 16, slice(4, 8))
    known = {
        METADATA_PORT.to_bytes(2) + socket.inet_pton(family, address): (address, METADATA_PORT)
        for address in contract.METADATA_ADDRESSES
        if (":" in address) == is_ipv6
    }

    def find(accepted: socket.socket) -> Address | None:
        try:
            found = accepted.getsockopt(level, SO_ORIGINAL_DST, size)
        except OSError:  # it is not tracked, or the kernel (or sandbox) has no connection tracking
            return None
        return known.get(found[2:4] + found[place])

    return find
