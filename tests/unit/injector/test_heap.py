"""Free memory goes back to the operating system."""

import subprocess
import sys

from testing.repository import ROOT

PROGRAM = """
from bench.soak.usage import read_usage
from injector.heap import release_free_memory
import os

blocks = [bytes(1000) for _ in range(50_000)]
kept = blocks[::100]
del blocks
before = read_usage(os.getpid()).anonymous_mib
release_free_memory()
print(before - read_usage(os.getpid()).anonymous_mib)
"""


def test_memory_between_objects_that_stay_is_released() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)

    assert float(done.stdout) > 20
