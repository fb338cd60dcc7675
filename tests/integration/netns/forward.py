"""`forward.py ADDRESS:PORT TARGET:PORT` accepts TCP connections and forwards them, as a proxy does. Prints `ready`."""

import asyncio
import contextlib
import sys


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1000):
            writer.write(data)
            await writer.drain()
    writer.close()


async def main(address: str, target: str) -> None:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = target.split(":")
        target_reader, target_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(copy(reader, target_writer), copy(target_reader, writer))

    host, port = address.split(":")
    await asyncio.start_server(forward, host, int(port))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:3]))
