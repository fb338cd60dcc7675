"""Finds free ports for server processes that cannot bind port 0."""

import random
import socket

# Below the ephemeral ports of Linux (32768 and up), so that outgoing connections do not take the port meanwhile.
PORTS = range(20000, 30000)


def find_free_ports(count: int) -> int:
    """Find this many consecutive free ports on loopback; return the first."""
    while True:
        first = random.choice(PORTS)
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first


def find_free_port() -> int:
    """Find a free port on loopback."""
    return find_free_ports(1)
