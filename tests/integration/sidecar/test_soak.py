"""`python -m bench.soak` for a few seconds, with sidecars only."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from testing.repository import ROOT

COMMAND = (sys.executable, "-m", "bench.soak", "--sidecars-only", "--seed", "1")
END_SECONDS = 60


def test_short_run_loses_nothing_and_prints_what_it_did() -> None:
    done = subprocess.run([*COMMAND, "--seconds", "12"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("seed 1\n")
    assert re.search(r"sidecar: IMDS requests +\d+, p50", done.stdout)
    assert re.search(r"sidecar: anonymous mib +\d+\.\d -> \d+\.\d", done.stdout)
    assert re.search(r"^ *1\d s: \d+ good requests \(\d+ cut, 0 lost\)", done.stderr, re.MULTILINE)


def test_interrupt_ends_every_process_and_prints_the_tables(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "--seconds", "600"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        text=True,
    ) as process:
        family = await_children(process.pid)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=END_SECONDS)

    assert "good requests" in output
    assert [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE] == []
    assert list(tmp_path.iterdir()) == []


def await_children(pid: int, count: int = 2) -> list[psutil.Process]:
    """Wait until a process has this many descendants."""
    ends = time.monotonic() + END_SECONDS
    while time.monotonic() < ends:
        if len(family := psutil.Process(pid).children(recursive=True)) >= count:
            return family
        time.sleep(0.1)
    raise AssertionError(f"fewer than {count} processes after {END_SECONDS} s")
