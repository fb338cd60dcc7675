"""A stand-in: `listen.py NAME ADDRESS,... PORT,...` answers its name on each address and port, over TCP and UDP."""

import asyncio
import itertools
import sys


class Answer(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # UDP's kind
        self.transport = transport

    def datagram_received(self, _data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(sys.argv[1].encode(), addr)


async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(sys.argv[1].encode())
    writer.close()


async def main() -> None:
    for address, port in itertools.product(sys.argv[2].split(","), sys.argv[3].split(",")):
        await asyncio.start_server(answer, address, int(port))
        await asyncio.get_running_loop().create_datagram_endpoint(Answer, (address, int(port)))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


asyncio.run(main())
