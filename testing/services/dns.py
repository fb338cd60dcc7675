"""A DNS server with the same answer for every name: `python3 -m testing.services.dns ADDRESS...`, on 127.0.0.1 port 53.

Without addresses it answers nothing, as a server that is gone. It prints the monotonic time of each query.
"""

import ipaddress
import socket
import sys
import time
from collections.abc import Sequence

TYPES = {1: 4, 28: 6}
"""A and AAAA, and their versions of IP: https://www.rfc-editor.org/rfc/rfc3596"""

NAME = b"\xc0\x0c"
"""Refers to the name in the question."""


def answer(query: bytes, addresses: Sequence[str]) -> bytes:
    """Build the response to a query.

    https://www.rfc-editor.org/rfc/rfc1035#section-4
    """
    end = query.index(b"\0", 12) + 5
    kind = int.from_bytes(query[end - 4 : end - 2])
    found = [one for one in map(ipaddress.ip_address, addresses) if one.version == TYPES.get(kind)]
    records = [NAME + kind.to_bytes(2) + b"\0\1" + bytes(4) + len(one.packed).to_bytes(2) + one.packed for one in found]
    header = query[:2] + b"\x81\x80" + b"\0\1" + len(records).to_bytes(2) + bytes(4)
    return header + query[12:end] + b"".join(records)


def main(addresses: Sequence[str]) -> None:
    """Answer until the process is ended."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
        print("ready", flush=True)
        while True:
            query, client = server.recvfrom(512)
            print(time.monotonic(), flush=True)
            if addresses:
                server.sendto(answer(query, addresses), client)


if __name__ == "__main__":
    main(sys.argv[1:])
