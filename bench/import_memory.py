"""`python -m bench.import_memory`: how much memory each import adds to a new sidecar process.

Run it twice: the first run compiles bytecode, and the compiler leaves memory behind.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise

from bench.measure import MEBI, print_table
from bench.startup import OPTIONS
from testing.repository import ROOT

ALL = "import sidecar.__main__, sidecar.server"
"""What a sidecar imports before its first request."""

LIST_MODULES = f"{ALL}\nimport sys\nprint(*sys.modules)"

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
    stages = build_stages(_run(LIST_MODULES).split())
    runs: list[list[int]] = [json.loads(_run(PROBE, *stages.values())) for _ in range(RUNS)]
    totals = [statistics.median(run[stage] for run in runs) * 1024 / MEBI for stage in range(len(stages))]
    added = [after - before for before, after in pairwise([0.0, *totals])]
    rows = {what: f"{mebibytes:5.1f} MiB" for what, mebibytes in zip(stages, added, strict=True)}
    return rows | {"together, before the first request": f"{totals[-1]:5.1f} MiB"}


def build_stages(modules: Sequence[str]) -> dict[str, str]:
    """Name -> the statement that imports this part of a sidecar's modules."""
    standard = [name for name in modules if name.partition(".")[0] in sys.stdlib_module_names and name != "__main__"]
    return {
        "the interpreter": "",
        "parts of the standard library": f"import {', '.join(standard)}",
        "httptools": "import httptools",
        "podrole's own modules": ALL,
    }


def _run(program: str, *arguments: str) -> str:
    argv = [sys.executable, *OPTIONS, "-c", program, *arguments]
    environ = {"PATH": os.environ["PATH"]}
    return subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    print_table("sidecar: anonymous memory, import by import", measure())
