"""`ask_destinations.py ADDRESS/PORT ...` sends a request to each and prints the responses' bodies, as a JSON list."""

import json
import socket
import sys


def ask(target: str) -> str:
    address, port = target.split("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as connection:
        connection.settimeout(5)
        connection.connect((address, int(port)))
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        received = b""
        while piece := connection.recv(4096):
            received += piece
    return received.partition(b"\r\n\r\n")[2].decode()


json.dump([ask(target) for target in sys.argv[1:]], sys.stdout)
