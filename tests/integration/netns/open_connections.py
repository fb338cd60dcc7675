"""`open_connections.py ADDRESS/PORT ...` keeps TCP connections open and exchanges data on each, again and again.

Prints a line for each round: when it started (CLOCK_MONOTONIC), and the response on each connection, or the error that
ended it.
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


started_at = time.monotonic()
opened = [connect(target) for target in sys.argv[1:]]
connections = [connection for connection, _ in opened]
first_responses = [response for _, response in opened]
responses = first_responses
while True:
    sys.stdout.write(" ".join([str(started_at), *responses]) + "\n")
    sys.stdout.flush()
    time.sleep(0.01)
    started_at = time.monotonic()
    responses = [
        exchange(connection) if response == first else response
        for connection, response, first in zip(connections, responses, first_responses, strict=True)
    ]
