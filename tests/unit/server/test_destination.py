"""The address that `Service.find_destination` returns is the server's address of a connection's requests."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from server.listener import Service
from server.loop import Loop
from server.messages import Address, Request, Response
from server.settings import Settings

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def name_server(request: Request) -> Response:
    return Response(200, "<{} {}>".format(*request.server).encode())


@contextmanager
def serving(find_destination: Callable[[socket.socket], Address | None] | None) -> Iterator[tuple[Address, list[str]]]:
    """A server's address, and the lines of its log."""
    listening, lines = socket.create_server(("127.0.0.1", 0)), list[str]()
    address = listening.getsockname()
    service = Service(name_server, 0, find_destination=find_destination)
    loop = Loop({listening: service}, Settings(), lambda reason, _count, detail: lines.append(f"{reason}: {detail}"))
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield address, lines
    finally:
        loop.stop()
        thread.join()


def ask(address: Address, times: int = 1) -> list[bytes]:
    """Send requests on one connection; return what each response says."""
    with socket.create_connection(address, timeout=10) as client, client.makefile("rb") as answers:
        found = []
        for _ in range(times):
            client.sendall(GET)
            while not (line := answers.readline()).startswith(b"Content-Length"):
                assert line
            answers.readline()
            found.append(answers.read(int(line.split()[1])))
        return found


def test_requests_have_the_destination_that_the_service_finds() -> None:
    with serving(lambda _: ("169.254.170.2", 80)) as (address, _):
        assert ask(address) == [b"<169.254.170.2 80>"]


def test_destination_is_looked_up_once_per_connection() -> None:
    asked: list[socket.socket] = []

    def find(accepted: socket.socket) -> Address:
        asked.append(accepted)
        return "169.254.170.2", len(asked)

    with serving(find) as (address, _):
        assert ask(address, times=3) == [b"<169.254.170.2 1>"] * 3
        assert ask(address) == [b"<169.254.170.2 2>"]


def test_unknown_destination_is_the_listeners_address() -> None:
    for find in (None, lambda _: None):
        with serving(find) as (address, _):
            assert ask(address) == [f"<127.0.0.1 {address[1]}>".encode()]


def test_error_of_the_lookup_closes_that_connection_only() -> None:
    errors = iter([RuntimeError("a defect")])

    def find(_accepted: socket.socket) -> Address:
        for error in errors:
            raise error
        return "169.254.170.2", 80

    with serving(find) as (address, lines):
        with socket.create_connection(address, timeout=10) as client:
            assert client.recv(100) == b""
        assert ask(address) == [b"<169.254.170.2 80>"]
        assert lines == ["accept-failed: a defect"]
