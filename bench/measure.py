"""Memory of a process tree, summaries of durations, tables and budgets."""

import os
import platform
import statistics
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import psutil
import yaml

MEBI = 1024 * 1024
BUDGETS = Path(__file__).with_name("budgets.yaml")


class Latency(NamedTuple):
    """Milliseconds."""

    minimum: float
    p50: float
    p99: float

    def __str__(self) -> str:
        return f"min {self.minimum:.2f}, p50 {self.p50:.2f}, p99 {self.p99:.2f} ms"


class Memory(NamedTuple):
    """MiB of a process and its descendants: PSS (proportional share of shared pages) and its anonymous part.

    https://docs.kernel.org/filesystems/proc.html, smaps_rollup
    """

    pss: float
    anonymous: float

    def __str__(self) -> str:
        return f"PSS {self.pss:.1f}, anonymous {self.anonymous:.1f} MiB"


def summarize(rounds: Iterable[list[float]]) -> Latency:
    """Medians over several rounds, so that one disturbed round does not decide."""
    each = [
        Latency(min(durations), statistics.median(durations), statistics.quantiles(durations, n=100)[98])
        for durations in rounds
    ]
    return Latency(*(statistics.median(figures) for figures in zip(*each, strict=True)))


def read_memory(pid: int) -> Memory:
    """The memory that a process and its descendants use now."""
    pss = anonymous = 0.0
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        rollup = dict(_read_rollup(process.pid))
        pss += rollup["Pss"] / MEBI
        anonymous += rollup["Pss_Anon"] / MEBI
    return Memory(pss, anonymous)


def list_children(pid: int) -> list[int]:
    """The pids of the children that all threads of a process have started and not yet waited for."""
    return [int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]


def pin(pid: int, core: int) -> None:
    """Pin a process and all its threads to one CPU, so that client and server do not compete."""
    for thread in psutil.Process(pid).threads():
        os.sched_setaffinity(thread.id, {core % (psutil.cpu_count() or 1)})


def print_table(title: str, rows: Mapping[str, object]) -> None:
    """Print a table; its title names the machine."""
    print(f"\n{title} ({platform.machine()}, {psutil.cpu_count()} CPUs, Python {platform.python_version()})")
    for name, value in rows.items():
        print(f"  {name:<52} {value}")


def compare_with_budgets(part: str, figures: Mapping[str, float]) -> int:
    """Print each figure and its budget; return how many are over."""
    budgets: dict[str, float] = yaml.safe_load(BUDGETS.read_text())[part]
    over = 0
    print(f"\n{part}: budgets")
    for name, budget in budgets.items():
        is_over = figures[name] > budget
        over += is_over
        print(f"  {name:<52} {figures[name]:8.2f}   at most {budget:g}{'   OVER' if is_over else ''}")
    return over


def _read_rollup(pid: int) -> Iterator[tuple[str, int]]:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        key, value, _ = line.split()
        yield key.rstrip(":"), int(value) * 1024
