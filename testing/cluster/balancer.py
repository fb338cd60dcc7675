"""A TCP load balancer, as a Service is one: each connection goes to a replica that accepts it.

It is a process: `python -m testing.cluster.balancer PORT...`. Hundreds of its threads in the process of a test would
slow down what that measures.
"""

import itertools
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from testing.repository import ROOT

ADDRESS = "127.0.0.1"
BACKLOG = 1024


@contextmanager
def balance(ports: Sequence[int]) -> Iterator[int]:
    """Listen until the block ends; yield the port."""
    argv = [sys.executable, "-m", __name__, *map(str, ports)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield int(process.stdout.readline())
        finally:
            process.kill()


def main() -> None:
    """Print the port, and serve until the process ends."""
    ports = [int(port) for port in sys.argv[1:]]
    turns = itertools.cycle([*ports[turn:], *ports[:turn]] for turn in range(len(ports)))
    with socket.create_server((ADDRESS, 0), backlog=BACKLOG) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_forward, args=(client, next(turns)), daemon=True).start()


def _forward(client: socket.socket, ports: Sequence[int]) -> None:
    with client, suppress(ConnectionError):
        replica = _connect(ports)
        with replica:
            back = threading.Thread(target=_copy, args=(replica, client), daemon=True)
            back.start()
            _copy(client, replica)
            back.join()


def _connect(ports: Sequence[int]) -> socket.socket:
    """Connect to the first that accepts; raise ConnectionError if none does."""
    for port in ports:
        with suppress(OSError):
            return socket.create_connection((ADDRESS, port))
    raise ConnectionError


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Copy until one side ends, then end the sending side of the other.

    Never the receiving side: the kernel opens no window then, and whoever still sends would wait for a minute.
    """
    with suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()
