"""`ask.py [uid=UID] tcp/ADDRESS/PORT[/DEVICE] udp/ADDRESS/PORT raw/ADDRESS/PROTOCOL icmp/ADDRESS ...`, a JSON list.

What each gave: answer or error. Nothing within five seconds is "silence", so a refusal at once is told from a packet
that vanishes.
"""

import errno
import json
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

KINDS = {
    "tcp": socket.SOCK_STREAM,
    "udp": socket.SOCK_DGRAM,
    "icmp": socket.SOCK_DGRAM,
    "raw": socket.SOCK_RAW,
}
ECHO_REQUESTS = {socket.AF_INET: b"\x08\0\0\0\0\0\0\x01", socket.AF_INET6: b"\x80\0\0\0\0\0\0\x01"}
ECHO_PROTOCOLS = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
IPV4_HEADER_BYTES = 20
TIMEOUT_SECONDS = 5


def open_socket(context: str) -> socket.socket:
    kind, address, *rest = context.split("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    protocol = {"icmp": ECHO_PROTOCOLS[family], "raw": int(rest[0]) if rest else 0}.get(kind, 0)
    return socket.socket(family, KINDS[kind], protocol)


def ask(context: str) -> str:
    kind, address, *rest = context.split("/")
    with open_socket(context) as client:
        client.settimeout(TIMEOUT_SECONDS)
        if rest[1:]:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, rest[1].encode())
        try:
            client.connect((address, int(rest[0]) if kind in {"tcp", "udp"} else 0))
            if kind != "tcp":
                # an ICMP error counts only if it quotes eight bytes
                client.send(ECHO_REQUESTS[client.family] if kind == "icmp" else b"question")
            answer = client.recv(100)
        except TimeoutError:
            return "silence"
        except OSError as error:
            return errno.errorcode[error.errno or 0]
    if kind == "raw" and client.family == socket.AF_INET:
        answer = answer[IPV4_HEADER_BYTES:]
    return "echo" if kind == "icmp" else answer.decode()


questions = sys.argv[1:]
if questions[0].startswith("uid="):
    os.setuid(int(questions.pop(0).removeprefix("uid=")))
with ThreadPoolExecutor(max_workers=len(questions)) as pool:
    sys.stdout.write(json.dumps(list(pool.map(ask, questions))))
