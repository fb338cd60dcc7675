"""`responder.py NAME ADDRESS,... PORT,...` sends its name as the response on each address and port, TCP and UDP.

Over TCP it sends the name at once and after each received message. The port `sctp` means IP packets with SCTP's
protocol number, without SCTP's header.
"""

import asyncio
import contextlib
import itertools
import socket
import sys

SCTP = 132
"""An example of a protocol other than TCP, UDP and ICMP."""

NAME = sys.argv[1].encode()


class UdpResponder(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # UDP's kind
        self.transport = transport

    def datagram_received(self, _data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(NAME, addr)


async def respond_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.write(NAME)
        while await reader.read(100):
            writer.write(NAME)
    writer.close()


def open_raw(address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    raw = socket.socket(family, socket.SOCK_RAW, SCTP)
    raw.settimeout(0)
    raw.bind((address, 0))
    return raw


def respond_raw(raw: socket.socket) -> None:
    _, source = raw.recvfrom(100)
    raw.sendto(NAME, source)


async def listen(address: str, port: str) -> None:
    loop = asyncio.get_running_loop()
    if port == "sctp":
        raw = open_raw(address)
        loop.add_reader(raw, respond_raw, raw)
    else:
        await asyncio.start_server(respond_tcp, address, int(port))
        await loop.create_datagram_endpoint(UdpResponder, (address, int(port)))


async def main() -> None:
    for address, port in itertools.product(sys.argv[2].split(","), sys.argv[3].split(",")):
        await listen(address, port)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


asyncio.run(main())
