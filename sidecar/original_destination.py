"""Where a client connected to before the redirect changed the destination: the kernel's connection tracking knows it.

The redirect is a DNAT, so a redirected connection always has an entry there. The kernel returns the sidecar's own
address, or an error, for a connection that came to the sidecar's port directly, such as a port-forward.
https://man7.org/linux/man-pages/man7/ip.7.html
"""

import socket

import contract
from server.messages import Address

SO_ORIGINAL_DST = 80
"""Of SOL_IP; IP6T_SO_ORIGINAL_DST of SOL_IPV6 has the same number (linux/netfilter_ipv4.h, linux/netfilter_ipv6.h)."""

SOCKADDR_IN_BYTES = 16
SOCKADDR_IN6_BYTES = 28

METADATA_PORT = 80
METADATA_DESTINATIONS = frozenset((address, METADATA_PORT) for address in contract.METADATA_ADDRESSES)
"""What the rules redirect to the sidecar."""


def find_original_destination(accepted: socket.socket) -> Address | None:
    """Return the address and port that the client connected to; None if the kernel does not know them."""
    try:
        if accepted.family == socket.AF_INET:
            found = accepted.getsockopt(socket.IPPROTO_IP, SO_ORIGINAL_DST, SOCKADDR_IN_BYTES)
            return socket.inet_ntop(socket.AF_INET, found[4:8]), int.from_bytes(found[2:4])
        found = accepted.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, SOCKADDR_IN6_BYTES)
        return socket.inet_ntop(socket.AF_INET6, found[8:24]), int.from_bytes(found[2:4])
    except (OSError, ValueError):  # not tracked, or the kernel (or sandbox) has no connection tracking; a short answer
        return None
