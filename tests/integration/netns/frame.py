"""`frame.py WAY SOURCE TARGET GATEWAY_MAC` sends UDP to port 80 of TARGET as a handmade frame, below the rules.

WAY is `packet` (AF_PACKET), `xdp` (AF_XDP), or `header`, an IP packet with a handmade header (IP_HDRINCL) and no frame
around it. All need NET_RAW and no more. Prints the answer, or the error's name.
"""

import ctypes
import errno
import mmap
import socket
import struct
import sys

DEVICE = "eth0"
ANY_MAC = "02:00:00:00:00:01"
PORT = 7777
ETHERTYPE_IPV4, ETHERNET_HEADER_BYTES = 0x0800, 14
AF_XDP, SOL_XDP = 44, 283
MMAP_OFFSETS, TX_RING, UMEM_REG, FILL_RING, COMPLETION_RING = 1, 3, 4, 5, 6
TX_RING_PAGE = 0x80000000
XDP_COPY = 2
RING_ENTRIES, CHUNK_BYTES = 8, 4096
"""https://github.com/torvalds/linux/blob/v6.1/include/uapi/linux/if_xdp.h"""

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]


def build_frame(source: str, target: str, gateway: str) -> bytes:
    udp = struct.pack("!HHHH", PORT, 80, 9, 0) + b"?"
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, socket.IPPROTO_UDP, 0) + addresses
    total = sum(struct.unpack("!10H", header))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    header = header[:10] + struct.pack("!H", total ^ 0xFFFF) + header[12:]
    macs = bytes.fromhex((gateway + ANY_MAC).replace(":", ""))
    return macs + struct.pack("!H", ETHERTYPE_IPV4) + header + udp


def send_header(frame: bytes) -> None:
    packet = frame[ETHERNET_HEADER_BYTES:]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
        sender.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))


def send_packet(frame: bytes) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.sendto(frame, (DEVICE, ETHERTYPE_IPV4))


def send_xdp(frame: bytes) -> None:
    """Put the frame on a transmit ring, without any XDP program; needs no more than the socket."""
    with socket.socket(AF_XDP, socket.SOCK_RAW) as sender:
        memory = mmap.mmap(-1, RING_ENTRIES * CHUNK_BYTES)
        memory[: len(frame)] = frame
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        region = struct.pack("QQIII4x", start, len(memory), CHUNK_BYTES, 0, 0)
        sender.setsockopt(SOL_XDP, UMEM_REG, region)
        for ring in (FILL_RING, COMPLETION_RING, TX_RING):
            sender.setsockopt(SOL_XDP, ring, struct.pack("I", RING_ENTRIES))
        # for each ring: producer, consumer, desc, flags; the transmit ring is the second
        producer, _, descriptors, _ = struct.unpack("16Q", sender.getsockopt(SOL_XDP, MMAP_OFFSETS, 128))[4:8]
        size = descriptors + 16 * RING_ENTRIES
        flags = mmap.PROT_READ | mmap.PROT_WRITE
        ring_start = libc.mmap(None, size, flags, mmap.MAP_SHARED, sender.fileno(), TX_RING_PAGE)
        address = struct.pack("HHIII", AF_XDP, XDP_COPY, socket.if_nametoindex(DEVICE), 0, 0)
        if libc.bind(sender.fileno(), address, len(address)):
            raise OSError(ctypes.get_errno(), "bind")
        ctypes.memmove(ring_start + descriptors, struct.pack("QII", 0, len(frame), 0), 16)
        ctypes.c_uint32.from_address(ring_start + producer).value = 1
        sender.send(b"", socket.MSG_DONTWAIT)


def main(way: str, source: str, target: str, gateway: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind((source, PORT))
        receiver.settimeout(5)
        try:
            {"header": send_header, "packet": send_packet, "xdp": send_xdp}[way](build_frame(source, target, gateway))
            return receiver.recv(100).decode()
        except TimeoutError:
            return "silence"
        except OSError as error:
            return errno.errorcode[error.errno or 0]


sys.stdout.write(main(*sys.argv[1:5]))
