"""A server that sends exactly the bytes that a test gives it, over TCP or TLS, at the pace that the test wants."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

ACCEPT_SECONDS = 0.05
LONGEST_SECONDS = 20

Respond = Callable[["Connection"], None]


@dataclass
class Connection:
    """A client's connection, from the server's side."""

    socket: socket.socket
    stopped: threading.Event

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def drip(self, data: bytes, seconds_per_byte: float) -> None:
        """Send byte by byte until the client or the test has had enough."""
        for position in range(len(data)):
            self.socket.sendall(data[position : position + 1])
            if self.stopped.wait(seconds_per_byte):
                return

    def flood(self, data: bytes) -> None:
        """Send without an end."""
        while not self.stopped.is_set():
            self.socket.sendall(data)

    def wait(self) -> None:
        """Send nothing until the test ends."""
        self.stopped.wait(LONGEST_SECONDS)

    def read_request(self) -> bytes:
        """Read a head and a body of the length that the head gives."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._read()
        head, _, body = received.partition(b"\r\n\r\n")
        lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        while lengths and len(body) < int(lengths[0]):
            body += self._read()
        return head + b"\r\n\r\n" + body

    def _read(self) -> bytes:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the client has closed")
        return data


@dataclass
class RawServer:
    """A running server."""

    port: int
    host: str = "127.0.0.1"
    requests: list[bytes] = field(default_factory=list)

    def url(self, scheme: str = "http", path: str = "") -> str:
        return f"{scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}{path}"


@contextmanager
def raw_server(
    respond: Respond | bytes, tls: ssl.SSLContext | None = None, *, reads_first: bool = True, host: str = "127.0.0.1"
) -> Iterator[RawServer]:
    """Serve each connection in a thread until the block ends. `reads_first`: respond after a complete request."""
    stopped = threading.Event()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        listener.settimeout(ACCEPT_SECONDS)
        server = RawServer(listener.getsockname()[1], host)
        threads: list[threading.Thread] = []

        def serve(accepted: socket.socket) -> None:
            with suppress(OSError, ValueError), accepted:  # ValueError: unwrap after the test ended TLS
                accepted.settimeout(LONGEST_SECONDS)
                with tls.wrap_socket(accepted, server_side=True) if tls else accepted as secured:
                    connection = Connection(secured, stopped)
                    if reads_first:
                        server.requests.append(connection.read_request())
                    connection.send(respond) if isinstance(respond, bytes) else respond(connection)
                    if tls and isinstance(secured, ssl.SSLSocket):
                        secured.unwrap()

        def accept() -> None:
            while not stopped.is_set():
                with suppress(TimeoutError):
                    accepted, _ = listener.accept()
                    threads.append(threading.Thread(target=serve, args=(accepted,)))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield server
        finally:
            stopped.set()
            accepting.join()
            for thread in threads:
                thread.join()
