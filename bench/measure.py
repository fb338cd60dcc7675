"""Numbers of a running process tree and of a series of durations, and the table that they are printed as."""

import platform
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psutil

MEBI = 1024 * 1024


def time_each(count: int, act: Callable[[], object]) -> list[float]:
    """Milliseconds of each of so many calls."""
    durations = []
    for _ in range(count):
        began = time.perf_counter()
        act()
        durations.append((time.perf_counter() - began) * 1000)
    return durations


def describe_durations(milliseconds: list[float]) -> str:
    """Minimum, median and 99th percentile."""
    percentile = statistics.quantiles(milliseconds, n=100)[98]
    return f"min {min(milliseconds):.2f}, p50 {statistics.median(milliseconds):.2f}, p99 {percentile:.2f} ms"


def read_memory(pid: int) -> dict[str, float]:
    """MiB of a process and all below it: Pss (shared pages by their share) and the anonymous part of it.

    https://docs.kernel.org/filesystems/proc.html, smaps_rollup
    """
    sums = {"Pss": 0.0, "Pss_Anon": 0.0}
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        for key, kibibytes in _read_rollup(process.pid):
            if key in sums:
                sums[key] += kibibytes * 1024 / MEBI
    return sums


def print_table(title: str, rows: Iterable[tuple[str, str]]) -> None:
    """Print what was measured, and on what."""
    print(f"{title} ({platform.machine()}, {psutil.cpu_count()} CPUs, Python {platform.python_version()})")
    for name, value in rows:
        print(f"  {name:<44} {value}")


def _read_rollup(pid: int) -> Iterator[tuple[str, int]]:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        key, value, _ = line.split()
        yield key.rstrip(":"), int(value)
