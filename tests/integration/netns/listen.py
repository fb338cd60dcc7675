"""A stand-in: `listen.py NAME ADDRESS,... PORT,...` answers its name on each address and port, over TCP and UDP.

Over TCP at once and again for whatever it hears, until the other side ends. The port `sctp` stands for bare IP packets
with SCTP's protocol number.
"""

import asyncio
import contextlib
import itertools
import socket
import sys

SCTP = 132
"""Stands for all that is not TCP, UDP or ICMP; its checksum is one that a kernel need not verify to answer a packet."""


class Answer(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # UDP's kind
        self.transport = transport

    def datagram_received(self, _data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(sys.argv[1].encode(), addr)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.write(sys.argv[1].encode())
        while await reader.read(100):
            writer.write(sys.argv[1].encode())
    writer.close()


def open_raw(address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    raw = socket.socket(family, socket.SOCK_RAW, SCTP)
    raw.settimeout(0)
    raw.bind((address, 0))
    return raw


def answer_raw(raw: socket.socket) -> None:
    _, source = raw.recvfrom(100)
    raw.sendto(sys.argv[1].encode(), source)


async def listen(address: str, port: str) -> None:
    loop = asyncio.get_running_loop()
    if port == "sctp":
        raw = open_raw(address)
        loop.add_reader(raw, answer_raw, raw)
    else:
        await asyncio.start_server(answer, address, int(port))
        await loop.create_datagram_endpoint(Answer, (address, int(port)))


async def main() -> None:
    for address, port in itertools.product(sys.argv[2].split(","), sys.argv[3].split(",")):
        await listen(address, port)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


asyncio.run(main())
