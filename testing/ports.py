"""Ports for servers that a test starts as processes of their own, and so cannot be told to bind port 0 themselves."""

import random
import socket

# Below those that Linux gives to outgoing connections (32768 and up): a port found here is still free a moment later.
PORTS = range(20000, 30000)


def find_free_ports(count: int) -> int:
    """The first of so many free ports in a row on loopback."""
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
    """A free port on loopback."""
    return find_free_ports(1)
