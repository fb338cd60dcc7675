"""Binds the sidecar's listening sockets."""

import errno
import os
import socket

import contract
from sidecar.errors import StartError

LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
BACKLOG = 1024


def bind_loopback(port: int) -> list[socket.socket]:
    """Listen on 127.0.0.1 and, if the pod has IPv6, on ::1; no other pod can reach these addresses."""
    listeners = []
    for family, address in LOOPBACK:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            if family == socket.AF_INET6 and error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                continue
            in_use = "another process of the pod already listens on it"
            reason = in_use if error.errno == errno.EADDRINUSE else error.strerror
            raise StartError(f"cannot listen on {address} port {port}: {reason}") from error
        listeners.append(listener)
    return listeners


def bind_metrics(port: int) -> socket.socket:
    """Listen on all addresses of the pod."""
    has_ipv6 = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if has_ipv6 else socket.AF_INET
    try:
        return socket.create_server(("", port), family=family, backlog=BACKLOG, dualstack_ipv6=has_ipv6)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise StartError(f"{contract.ENV_METRICS_PORT}: cannot listen on port {port} of the pod: {reason}") from error
