"""`odd_server.py BEHAVIOUR` listens on port 80 of the node's metadata addresses, and answers as the behaviour says."""

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

ADDRESSES = ("169.254.169.254", "fd00:ec2::254")
PAGE = b"<!DOCTYPE html><html><title>Log in</title></html>"


def trickle(text: bytes) -> Iterator[bytes]:
    for byte in text:
        time.sleep(0.2)
        yield bytes([byte])


def repeat(text: bytes) -> Iterator[bytes]:
    while True:
        yield text


BEHAVIOURS: dict[str, Callable[[], Iterator[bytes]]] = {
    "trickles": lambda: trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nno-secret"),
    "garbage": lambda: iter([bytes(range(256)) * 4]),
    "endless-garbage": lambda: repeat(b"\0" * 65536),
    "endless-page": lambda: repeat(b"HTTP/1.1 200 OK\r\n\r\n" + PAGE * 1000),
    "endless-text": lambda: repeat(b"HTTP/1.1 200 OK\r\n\r\n" + b"secret-metadata\n" * 4096),
    "redirects": lambda: iter([b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/x\r\n\r\n"]),
    "captive-portal": lambda: iter([b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + PAGE]),
    "closes": lambda: iter([]),
}


def answer(connection: socket.socket, behaviour: str) -> None:
    with connection:
        try:
            connection.recv(65536)
            for piece in BEHAVIOURS[behaviour]():
                connection.sendall(piece)
        except OSError:
            pass


def serve(listener: socket.socket, behaviour: str) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection, behaviour), daemon=True).start()


def main() -> None:
    for address in ADDRESSES:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.create_server((address, 80), family=family)
        threading.Thread(target=serve, args=(listener, sys.argv[1])).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()


main()
