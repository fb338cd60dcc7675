"""`ask.py tcp/ADDRESS/PORT udp/ADDRESS/PORT icmp/ADDRESS ...` prints what each gave, a JSON list: answer or error.

Nothing within three seconds is "silence": a refusal that comes at once is told from a packet that vanishes.
"""

import errno
import json
import socket
import sys

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "icmp": socket.SOCK_DGRAM}
ECHO_REQUESTS = {socket.AF_INET: b"\x08\0\0\0\0\0\0\x01", socket.AF_INET6: b"\x80\0\0\0\0\0\0\x01"}
ECHO_PROTOCOLS = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}


def ask(question: str) -> str:
    kind, address, *port = question.split("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    protocol = ECHO_PROTOCOLS[family] if kind == "icmp" else 0
    with socket.socket(family, KINDS[kind], protocol) as client:
        client.settimeout(3)
        try:
            client.connect((address, int(port[0]) if port else 0))
            if kind != "tcp":
                client.send(ECHO_REQUESTS[family] if kind == "icmp" else b"?")
            answer = client.recv(100)
        except TimeoutError:
            return "silence"
        except OSError as error:
            return errno.errorcode[error.errno or 0]
    return "echo" if kind == "icmp" else answer.decode()


sys.stdout.write(json.dumps([ask(question) for question in sys.argv[1:]]))
