"""`read_memory.py PID TEXT` prints `found` if a process's memory has the text, else `not found`, or the error."""

import sys
from pathlib import Path


def search(process: Path, text: bytes) -> bool:
    lines = [line.split() for line in (process / "maps").read_text().splitlines()]
    with (process / "mem").open("rb", buffering=0) as memory:
        for region, permissions, *_ in lines:
            if permissions.startswith("rw"):
                start, end = (int(address, 16) for address in region.split("-"))
                memory.seek(start)
                if text in memory.read(end - start):
                    return True
    return False


try:
    sys.stdout.write("found" if search(Path("/proc", sys.argv[1]), sys.argv[2].encode()) else "not found")
except PermissionError as error:
    sys.stdout.write(str(error.strerror).lower())
