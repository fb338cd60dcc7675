"""Sends probes in parallel and prints a JSON list of their results: a response or an error's name.

    send_probes.py [uid=UID] tcp/ADDRESS/PORT[/DEVICE] udp/ADDRESS/PORT raw/ADDRESS/PROTOCOL icmp/ADDRESS ...

No response within five seconds is "silence", so that a rejected packet can be distinguished from a dropped one.
"""

import errno
import json
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

SOCKET_TYPES = {
    "tcp": socket.SOCK_STREAM,
    "udp": socket.SOCK_DGRAM,
    "icmp": socket.SOCK_DGRAM,
    "raw": socket.SOCK_RAW,
}
ECHO_REQUESTS = {socket.AF_INET: b"\x08\0\0\0\0\0\0\x01", socket.AF_INET6: b"\x80\0\0\0\0\0\0\x01"}
ECHO_PROTOCOLS = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
IPV4_HEADER_BYTES = 20
TIMEOUT_SECONDS = 5


def open_socket(probe: str) -> socket.socket:
    kind, address, *rest = probe.split("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    protocol = {"icmp": ECHO_PROTOCOLS[family], "raw": int(rest[0]) if rest else 0}.get(kind, 0)
    return socket.socket(family, SOCKET_TYPES[kind], protocol)


def send_probe(probe: str) -> str:
    kind, address, *rest = probe.split("/")
    with open_socket(probe) as client:
        client.settimeout(TIMEOUT_SECONDS)
        if rest[1:]:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, rest[1].encode())
        try:
            client.connect((address, int(rest[0]) if kind in {"tcp", "udp"} else 0))
            if kind != "tcp":
                # an ICMP error is delivered only if it quotes at least eight bytes
                client.send(ECHO_REQUESTS[client.family] if kind == "icmp" else b"question")
            response = client.recv(100)
        except TimeoutError:
            return "silence"
        except OSError as error:
            return errno.errorcode[error.errno or 0]
    if kind == "raw" and client.family == socket.AF_INET:
        response = response[IPV4_HEADER_BYTES:]
    return "echo" if kind == "icmp" else response.decode()


probes = sys.argv[1:]
if probes[0].startswith("uid="):
    os.setuid(int(probes.pop(0).removeprefix("uid=")))
with ThreadPoolExecutor(max_workers=len(probes)) as pool:
    sys.stdout.write(json.dumps(list(pool.map(send_probe, probes))))
