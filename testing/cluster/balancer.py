"""A TCP load balancer, as a Service is one: each connection goes to a replica that accepts it."""

import itertools
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

ADDRESS = "127.0.0.1"


@contextmanager
def balance(ports: Sequence[int]) -> Iterator[int]:
    """Listen until the block ends; yield the port."""
    turns = itertools.cycle(range(len(ports)))
    with socket.create_server((ADDRESS, 0)) as listener:
        threading.Thread(target=_accept, args=(listener, ports, turns), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, ports: Sequence[int], turns: Iterator[int]) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            first = next(turns)
            replica = _connect([*ports[first:], *ports[:first]])
            if replica is None:
                client.close()
                continue
            threading.Thread(target=_copy_both_ways, args=(client, replica), daemon=True).start()


def _connect(ports: Sequence[int]) -> socket.socket | None:
    for port in ports:
        with suppress(OSError):
            return socket.create_connection((ADDRESS, port), timeout=2)
    return None


def _copy_both_ways(client: socket.socket, replica: socket.socket) -> None:
    replica.settimeout(None)
    with client, replica:  # closed once nobody uses them: another connection could get the same descriptor
        back = threading.Thread(target=_copy, args=(replica, client), daemon=True)
        back.start()
        _copy(client, replica)
        back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Copy until one side ends, then end the sending side of the other.

    Never the receiving side: the kernel opens no window then, and whoever still sends would wait for a minute.
    """
    with suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
