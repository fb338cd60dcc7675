"""Sends probes in parallel and prints a JSON list of their results: a response or an error's name.

    send_probes.py [uid=UID] tcp/ADDRESS/PORT[/OPTION=VALUE] udp/ADDRESS/PORT[/OPTION=VALUE] raw/ADDRESS/PROTOCOL
        icmp/ADDRESS ...

Options: `device=NAME` binds the socket to a device; `mark=NUMBER` marks its packets; `mptcp=` and `fastopen=` use these
variants of TCP; `lsrr=HOP` and `ssrr=HOP` send by a router (IPv4 source route), and
`srh=HOP` (IPv6 segment routing header); `alert=` adds Router Alert, and `padding=` IPv6
destination options.

No response within five seconds is "silence", so that a rejected packet can be distinguished from a dropped one. A probe
with a route has two seconds, as the rules drop those.
"""

import errno
import json
import os
import socket
import struct
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
ROUTED_TIMEOUT_SECONDS = 2

IPV6_RTHDR = 57  # https://github.com/torvalds/linux/blob/v6.1/include/uapi/linux/in6.h
SEGMENT_ROUTING_TYPE = 4
SO_MARK, TCP_FASTOPEN_CONNECT, IPPROTO_MPTCP = 36, 30, 262
DESTINATION_OPTIONS = b"\0\0\x01\x04\0\0\0\0"  # PadN of six bytes
ROUTER_ALERT = b"\x94\x04\0\0"


def open_socket(probe: str) -> socket.socket:
    kind, address, *rest = probe.split("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    protocol = {"icmp": ECHO_PROTOCOLS[family], "raw": int(rest[0]) if rest else 0}.get(kind, 0)
    if "mptcp=" in rest:
        protocol = IPPROTO_MPTCP
    return socket.socket(family, SOCKET_TYPES[kind], protocol)


def set_option(client: socket.socket, address: str, option: str, value: str) -> None:
    """Set an option for packets to the address."""
    if option == "device":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, value.encode())
    elif option == "srh":
        client.setsockopt(socket.IPPROTO_IPV6, IPV6_RTHDR, build_segment_routing_header(value, address))
    elif option == "mark":
        client.setsockopt(socket.SOL_SOCKET, SO_MARK, int(value))
    elif option == "fastopen":
        client.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
    elif option == "padding":
        client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, DESTINATION_OPTIONS)
    elif option == "alert":
        client.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, ROUTER_ALERT)
    elif option in {"lsrr", "ssrr"}:
        client.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, build_source_route(option, value))


def build_source_route(kind: str, hop: str) -> bytes:
    """The IPv4 option with one hop. The kernel adds the socket's address behind it: man 7 ip, IP_OPTIONS."""
    return bytes([{"lsrr": 0x83, "ssrr": 0x89}[kind], 7, 4]) + socket.inet_aton(hop) + b"\0"


def build_segment_routing_header(hop: str, address: str) -> bytes:
    """Segments are listed from last to first: https://www.rfc-editor.org/rfc/rfc8754#section-2"""
    segments = [socket.inet_pton(socket.AF_INET6, segment) for segment in (address, hop)]
    return struct.pack("!BBBBBBH", 0, 4, SEGMENT_ROUTING_TYPE, 1, 1, 0, 0) + b"".join(segments)


def send_probe(probe: str) -> str:
    kind, address, *rest = probe.split("/")
    option, _, value = rest[1].partition("=") if rest[1:] else ("", "", "")
    with open_socket(probe) as client:
        client.settimeout(ROUTED_TIMEOUT_SECONDS if option in {"lsrr", "ssrr", "srh"} else TIMEOUT_SECONDS)
        try:
            if option:
                set_option(client, address, option, value)
            client.connect((address, int(rest[0]) if kind in {"tcp", "udp"} else 0))
            if kind != "tcp" or option == "fastopen":  # fast open sends the first data with the SYN
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
