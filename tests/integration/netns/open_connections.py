"""`hold.py ADDRESS/PORT ...` keeps TCP connections open and exchanges a word on each, again and again.

Prints a line for each round: when it began (CLOCK_MONOTONIC), and what each connection gave, which for one that has
ended stays the error that ended it.
"""

import errno
import socket
import sys
import time

TIMEOUT_SECONDS = 5


def exchange(connection: socket.socket) -> str:
    try:
        connection.sendall(b"?")
        return connection.recv(100).decode() or "closed"
    except TimeoutError:
        return "silence"
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def connect(target: str) -> tuple[socket.socket, str]:
    address, port = target.split("/")
    connection = socket.create_connection((address, int(port)), timeout=TIMEOUT_SECONDS)
    return connection, connection.recv(100).decode()


began = time.monotonic()
held = [connect(target) for target in sys.argv[1:]]
connections = [connection for connection, _ in held]
first = [name for _, name in held]
answers = first
while True:
    sys.stdout.write(" ".join([str(began), *answers]) + "\n")
    sys.stdout.flush()
    time.sleep(0.01)
    began = time.monotonic()
    answers = [
        exchange(connection) if answer == name else answer
        for connection, answer, name in zip(connections, answers, first, strict=True)
    ]
