"""`raw_headers.py WAY SOURCE HOP TARGET` sends a UDP datagram to port 80 with a header of our own; prints the answer.

It needs NET_RAW. IPv4 options and routing headers send to HOP, and have TARGET as the next hop. The other ways send
to TARGET, in fragments or with extension headers. Prints `silence` after a timeout, and the error's name if the kernel
denies the packet.
"""

import errno
import socket
import struct
import sys
from collections.abc import Iterator

SOURCE_PORT, TARGET_PORT = 7778, 80
PAYLOAD = b"question"
TIMEOUT_SECONDS = 2

NOP, LSRR, SSRR, ROUTER_ALERT = 0x01, 0x83, 0x89, b"\x94\x04\0\0"
UNKNOWN_OPTION = b"\x9e\x04\0\0"  # https://www.iana.org/assignments/ip-parameters: experimental
MORE_FRAGMENTS = 0x2000
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS = 0, 43, 44, 60
ROUTING_TYPES = {"ipv6-routing-type-0": 0, "ipv6-routing-type-2": 2, "ipv6-routing-type-3": 3, "ipv6-routing-type-4": 4}
"""Source route, Mobile IPv6, RPL, segment routing:
https://www.iana.org/assignments/ipv6-parameters/ipv6-parameters.xhtml#ipv6-parameters-3
"""
PADDING = b"\x01\x04\0\0\0\0"  # PadN of six bytes: https://www.rfc-editor.org/rfc/rfc8200#section-4.2


def build_options(way: str, target: str) -> bytes:
    """IPv4 options; a pointer of 4 is the first address, and 8 the second."""
    hop = socket.inet_aton(target)
    options = {
        "lsrr": bytes([LSRR, 7, 4]) + hop,
        "ssrr": bytes([SSRR, 7, 4]) + hop,
        "lsrr-pointer-8": bytes([LSRR, 11, 8]) + socket.inet_aton("192.0.2.1") + hop,
        "lsrr-after-nops": bytes([NOP] * 5 + [LSRR, 7, 4]) + hop,
        "lsrr-then-unknown-option": bytes([LSRR, 7, 4]) + hop + bytes([NOP]) + UNKNOWN_OPTION,
        "alert-then-lsrr": ROUTER_ALERT + bytes([LSRR, 7, 4]) + hop,
    }[way]
    return options + bytes(-len(options) % 4)


def build_ipv4(way: str, source: str, hop: str, target: str) -> Iterator[bytes]:
    """Yield the packet, or its fragments. The kernel fills in the checksum of the header."""
    datagram = struct.pack("!HHHH", SOURCE_PORT, TARGET_PORT, 8 + len(PAYLOAD), 0) + PAYLOAD
    if way == "two-fragments":
        fragments = [(MORE_FRAGMENTS, datagram[:8]), (1, datagram[8:])]  # offset in units of eight bytes
        options, destination = b"", target
    else:
        fragments = [(0, datagram)]
        options, destination = build_options(way, target), hop
    words = 5 + len(options) // 4
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    for offset, body in fragments:
        length = words * 4 + len(body)
        header = struct.pack("!BBHHHBBH", 0x40 | words, 0, length, 1, offset, 64, socket.IPPROTO_UDP, 0)
        yield header + addresses + options + body


def build_ipv6(way: str, source: str, hop: str, target: str) -> Iterator[bytes]:
    """Yield the packet, or its fragments. The checksum is that of the last destination."""
    source6, target6 = (socket.inet_pton(socket.AF_INET6, address) for address in (source, target))
    addresses = source6 + target6
    datagram = build_udp6(addresses)
    if way in ROUTING_TYPES:
        addresses = source6 + socket.inet_pton(socket.AF_INET6, hop)
        # Length in units of eight bytes after the first, type, segments left: https://www.rfc-editor.org/rfc/rfc8200#section-4.4
        header = struct.pack("!BBBBI", socket.IPPROTO_UDP, 2, ROUTING_TYPES[way], 1, 0) + target6
        yield struct.pack("!IHBB", 6 << 28, len(header + datagram), ROUTING, 64) + addresses + header + datagram
        return
    for first_header, body in {
        "ipv6-hop-by-hop": [(HOP_BY_HOP, bytes([socket.IPPROTO_UDP, 0]) + PADDING + datagram)],
        "ipv6-destination-options": [(DESTINATION_OPTIONS, bytes([socket.IPPROTO_UDP, 0]) + PADDING + datagram)],
        "ipv6-atomic-fragment": [(FRAGMENT, build_fragment(0, more=False) + datagram)],
        "ipv6-two-fragments": [
            (FRAGMENT, build_fragment(0, more=True) + datagram[:8]),
            (FRAGMENT, build_fragment(8, more=False) + datagram[8:]),
        ],
    }[way]:
        yield struct.pack("!IHBB", 6 << 28, len(body), first_header, 64) + addresses + body


def build_fragment(offset: int, *, more: bool) -> bytes:
    """https://www.rfc-editor.org/rfc/rfc8200#section-4.5"""
    return struct.pack("!BBHI", socket.IPPROTO_UDP, 0, offset | more, 0x706F6472)


def build_udp6(addresses: bytes) -> bytes:
    """A UDP datagram with its checksum, which IPv6 requires."""
    length = 8 + len(PAYLOAD)
    ports = struct.pack("!HHH", SOURCE_PORT, TARGET_PORT, length)
    pseudo_header = addresses + struct.pack("!II", length, socket.IPPROTO_UDP)
    data = pseudo_header + ports + b"\0\0" + PAYLOAD
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ports + struct.pack("!H", total ^ 0xFFFF) + PAYLOAD


def main(way: str, source: str, hop: str, target: str) -> str:
    is_ipv6 = ":" in target
    family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
    destination = hop if way in ROUTING_TYPES or not (is_ipv6 or way == "two-fragments") else target
    packets = build_ipv6(way, source, hop, target) if is_ipv6 else build_ipv4(way, source, hop, target)
    with (
        socket.socket(family, socket.SOCK_DGRAM) as receiver,
        socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender,
    ):
        receiver.bind((source, SOURCE_PORT))
        receiver.settimeout(TIMEOUT_SECONDS)
        try:
            for packet in packets:
                sender.sendto(packet, (destination, 0))
            return receiver.recv(100).decode()
        except TimeoutError:
            return "silence"
        except OSError as error:
            return errno.errorcode[error.errno or 0]


sys.stdout.write(main(*sys.argv[1:5]))
