"""`raw_frame.py WAY SOURCE TARGET GATEWAY_MAC` sends one UDP datagram to port 80 of TARGET and prints the response.

WAY is how the datagram is sent. The first three need NET_RAW and no other capability, the last one none:

- `header`: an IP packet with our own header (IP_HDRINCL), which passes the output hook;
- `packet`: an Ethernet frame by AF_PACKET, below the output hook;
- `xdp`: an Ethernet frame on a transmit ring of AF_XDP, below the output hook and without an XDP program;
- `vxlan`: an Ethernet frame in UDP to the node's VXLAN device, which has GATEWAY_MAC.

Prints `silence` after a timeout, and the error's name if the kernel denies it.
"""

import ctypes
import errno
import mmap
import socket
import sys
from collections.abc import Callable

DEVICE = "eth0"
VXLAN_ENDPOINT = ("10.77.0.1", 8472)
VXLAN_HEADER = b"\x08\0\0\0" + (1).to_bytes(3) + b"\0"  # network 1: https://www.rfc-editor.org/rfc/rfc7348#section-5
SOURCE_MAC = "02:00:00:00:00:01"
SOURCE_PORT, TARGET_PORT = 7777, 80
PAYLOAD = b"?"
TIMEOUT_SECONDS = 5

ETHERTYPE_IPV4 = 0x0800
IPV4_VERSION_AND_LENGTH = 0x45  # version 4, header of five 32-bit words

# https://github.com/torvalds/linux/blob/v6.1/include/uapi/linux/if_xdp.h
AF_XDP, SOL_XDP = 44, 283
XDP_MMAP_OFFSETS, XDP_TX_RING, XDP_UMEM_REG, XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING = 1, 3, 4, 5, 6
XDP_PGOFF_TX_RING = 0x80000000
XDP_COPY = 2
RING_ENTRIES, CHUNK_BYTES = 8, 4096


class EthernetHeader(ctypes.BigEndianStructure):
    _pack_ = 1
    _fields_ = (("target", ctypes.c_uint8 * 6), ("source", ctypes.c_uint8 * 6), ("ethertype", ctypes.c_uint16))


class Ipv4Header(ctypes.BigEndianStructure):
    _pack_ = 1
    _fields_ = (
        ("version_and_length", ctypes.c_uint8),
        ("traffic_class", ctypes.c_uint8),
        ("total_length", ctypes.c_uint16),
        ("identification", ctypes.c_uint16),
        ("fragment", ctypes.c_uint16),
        ("ttl", ctypes.c_uint8),
        ("protocol", ctypes.c_uint8),
        ("checksum", ctypes.c_uint16),
        ("source", ctypes.c_uint8 * 4),
        ("target", ctypes.c_uint8 * 4),
    )


class UdpHeader(ctypes.BigEndianStructure):
    _pack_ = 1
    _fields_ = (
        ("source_port", ctypes.c_uint16),
        ("target_port", ctypes.c_uint16),
        ("length", ctypes.c_uint16),
        ("checksum", ctypes.c_uint16),  # 0: none
    )


class XdpUmemRegion(ctypes.Structure):
    """struct xdp_umem_reg: the memory that holds the frames."""

    _fields_ = (
        ("address", ctypes.c_uint64),
        ("length", ctypes.c_uint64),
        ("chunk_size", ctypes.c_uint32),
        ("headroom", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
    )


class XdpRingOffsets(ctypes.Structure):
    """struct xdp_ring_offset: where a ring's parts are in its mapping."""

    _fields_ = tuple((name, ctypes.c_uint64) for name in ("producer", "consumer", "descriptors", "flags"))


class XdpMmapOffsets(ctypes.Structure):
    """struct xdp_mmap_offsets."""

    _fields_ = tuple((ring, XdpRingOffsets) for ring in ("receive", "transmit", "fill", "completion"))


class XdpDescriptor(ctypes.Structure):
    """struct xdp_desc: one frame, by its offset in the memory region."""

    _fields_ = (("offset", ctypes.c_uint64), ("length", ctypes.c_uint32), ("options", ctypes.c_uint32))


class XdpAddress(ctypes.Structure):
    """struct sockaddr_xdp."""

    _fields_ = (
        ("family", ctypes.c_uint16),
        ("flags", ctypes.c_uint16),
        ("interface", ctypes.c_uint32),
        ("queue", ctypes.c_uint32),
        ("shared_umem", ctypes.c_uint32),
    )


def parse_mac(mac: str) -> "ctypes.Array[ctypes.c_uint8]":
    return (ctypes.c_uint8 * 6)(*bytes.fromhex(mac.replace(":", "")))


def parse_ipv4(address: str) -> "ctypes.Array[ctypes.c_uint8]":
    return (ctypes.c_uint8 * 4)(*socket.inet_aton(address))


def internet_checksum(data: bytes) -> int:
    """https://www.rfc-editor.org/rfc/rfc1071"""
    total = sum(int.from_bytes(data[start : start + 2]) for start in range(0, len(data), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def build_packet(source: str, target: str) -> bytes:
    """Build an IPv4 packet with a UDP datagram."""
    udp_length = ctypes.sizeof(UdpHeader) + len(PAYLOAD)
    header = Ipv4Header(
        version_and_length=IPV4_VERSION_AND_LENGTH,
        total_length=ctypes.sizeof(Ipv4Header) + udp_length,
        identification=1,
        ttl=64,
        protocol=socket.IPPROTO_UDP,
        source=parse_ipv4(source),
        target=parse_ipv4(target),
    )
    header.checksum = internet_checksum(bytes(header))
    return bytes(header) + bytes(UdpHeader(SOURCE_PORT, TARGET_PORT, udp_length, 0)) + PAYLOAD


def build_frame(packet: bytes, gateway_mac: str) -> bytes:
    """Put an Ethernet header before a packet."""
    return bytes(EthernetHeader(parse_mac(gateway_mac), parse_mac(SOURCE_MAC), ETHERTYPE_IPV4)) + packet


def send_header(packet: bytes, target: str, _gateway_mac: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
        sender.sendto(packet, (target, 0))


def send_packet(packet: bytes, _target: str, gateway_mac: str) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.sendto(build_frame(packet, gateway_mac), (DEVICE, ETHERTYPE_IPV4))


def send_vxlan(packet: bytes, _target: str, gateway_mac: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(VXLAN_HEADER + build_frame(packet, gateway_mac), VXLAN_ENDPOINT)


def send_xdp(packet: bytes, _target: str, gateway_mac: str) -> None:
    frame = build_frame(packet, gateway_mac)
    with socket.socket(AF_XDP, socket.SOCK_RAW) as sender:
        # The frame is the first chunk of the memory region.
        memory = mmap.mmap(-1, RING_ENTRIES * CHUNK_BYTES)
        memory[: len(frame)] = frame
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        sender.setsockopt(SOL_XDP, XDP_UMEM_REG, bytes(XdpUmemRegion(start, len(memory), CHUNK_BYTES, 0, 0)))
        for ring in (XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_TX_RING):
            sender.setsockopt(SOL_XDP, ring, RING_ENTRIES)
        offsets = get_transmit_offsets(sender)
        transmit_ring = map_transmit_ring(sender, offsets)
        bind_to_device(sender)
        # Write one descriptor, publish it by advancing the producer index, and make the kernel send it.
        descriptor = XdpDescriptor.from_address(transmit_ring + offsets.descriptors)
        descriptor.offset, descriptor.length, descriptor.options = 0, len(frame), 0
        ctypes.c_uint32.from_address(transmit_ring + offsets.producer).value = 1
        sender.send(b"", socket.MSG_DONTWAIT)


def get_transmit_offsets(sender: socket.socket) -> XdpRingOffsets:
    size = ctypes.sizeof(XdpMmapOffsets)
    offsets: XdpRingOffsets = XdpMmapOffsets.from_buffer_copy(
        sender.getsockopt(SOL_XDP, XDP_MMAP_OFFSETS, size)
    ).transmit
    return offsets


def map_transmit_ring(sender: socket.socket, offsets: XdpRingOffsets) -> int:
    """Map the ring; return its address. Python's mmap cannot map a socket."""
    size = offsets.descriptors + ctypes.sizeof(XdpDescriptor) * RING_ENTRIES
    protection = mmap.PROT_READ | mmap.PROT_WRITE
    address: int = libc.mmap(None, size, protection, mmap.MAP_SHARED, sender.fileno(), XDP_PGOFF_TX_RING)
    return address


def bind_to_device(sender: socket.socket) -> None:
    """Bind to the device's queue 0. Python's bind does not support AF_XDP."""
    address = XdpAddress(AF_XDP, XDP_COPY, socket.if_nametoindex(DEVICE), 0, 0)
    if libc.bind(sender.fileno(), ctypes.byref(address), ctypes.sizeof(address)):
        raise OSError(ctypes.get_errno(), "bind")


libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]

WAYS: dict[str, Callable[[bytes, str, str], None]] = {
    "header": send_header,
    "packet": send_packet,
    "xdp": send_xdp,
    "vxlan": send_vxlan,
}


def main(way: str, source: str, target: str, gateway_mac: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind((source, SOURCE_PORT))
        receiver.settimeout(TIMEOUT_SECONDS)
        try:
            WAYS[way](build_packet(source, target), target, gateway_mac)
            return receiver.recv(100).decode()
        except TimeoutError:
            return "silence"
        except OSError as error:
            return errno.errorcode[error.errno or 0]


sys.stdout.write(main(*sys.argv[1:5]))
