"""`python -m bench.import_memory`: how much memory each import adds to a new sidecar process.

Run it twice: the first run compiles bytecode, and the compiler leaves memory behind.
"""

import json
import os
import statistics
import subprocess
import sys

from bench.measure import MEBI, print_table
from bench.startup import OPTIONS
from testing.repository import ROOT

STAGES = {
    "the interpreter": "",
    "parts of the standard library": (
        "import base64, collections.abc, contextlib, enum, functools, gc, hmac, json, re, resource, selectors, signal, "
        "socket, threading, time, traceback, typing"
    ),
    "httptools": "import httptools",
    "podrole's own modules": "import sidecar.__main__, sidecar.server",
}
"""Name -> the statement that imports it."""

PROBE = """
import gc, sys
found = []
for statement in sys.argv[1:]:
    exec(statement)
    gc.collect()
    with open("/proc/self/smaps_rollup") as rollup:
        found.append(next(int(line.split()[1]) for line in rollup if line.startswith("Pss_Anon:")))
print(found)
"""
"""Kibibytes of anonymous memory after each statement. https://docs.kernel.org/filesystems/proc.html"""

RUNS = 5


def measure() -> dict[str, str]:
    """The median of what each import adds, and their sum."""
    runs = [_probe() for _ in range(RUNS)]
    totals = [statistics.median(run[stage] for run in runs) * 1024 / MEBI for stage in range(len(STAGES))]
    added = [after - before for before, after in zip([0.0, *totals], totals, strict=False)]
    rows = {what: f"{mebibytes:5.1f} MiB" for what, mebibytes in zip(STAGES, added, strict=True)}
    return rows | {"together, before the first request": f"{totals[-1]:5.1f} MiB"}


def _probe() -> list[int]:
    argv = [sys.executable, *OPTIONS, "-c", PROBE, *STAGES.values()]
    done = subprocess.run(argv, cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True)
    kibibytes: list[int] = json.loads(done.stdout)
    return kibibytes


if __name__ == "__main__":
    print_table("sidecar: anonymous memory, import by import", measure())
