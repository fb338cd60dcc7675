"""What processes use: samples, and the growth from the first quarter of a run to the last."""

import os
import statistics
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.measure import MEBI, list_children


class Usage(NamedTuple):
    """Of one process."""

    anonymous_mib: float
    descriptors: float
    threads: float
    children: float


LIMITS = Usage(anonymous_mib=4, descriptors=8, threads=3, children=1)
"""How much the median of the last quarter may be above that of the first."""


@dataclass
class Samples:
    """The samples of one process that runs from the beginning to the end."""

    name: str
    samples: list[Usage] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)

    def take(self, pid: int) -> None:
        """Add a sample, unless the process has ended."""
        with suppress(OSError, psutil.Error):
            self.samples.append(read_usage(pid))
            if pid not in self.pids:
                self.pids.append(pid)

    def quarters(self) -> tuple[Usage, Usage]:
        """Medians of the first and the last quarter."""
        count = max(1, len(self.samples) // 4)
        first, last = self.samples[:count], self.samples[-count:]
        return Usage(*map(statistics.median, zip(*first, strict=True))), Usage(
            *map(statistics.median, zip(*last, strict=True))
        )

    def find_growth(self) -> list[str]:
        """Describe each value that grew beyond its limit."""
        if not self.samples:
            return [f"{self.name}: no sample"]
        first, last = self.quarters()
        return [
            f"{self.name}: {name} grew from {before:.1f} to {after:.1f}, by more than {limit:g}"
            for name, before, after, limit in zip(Usage._fields, first, last, LIMITS, strict=True)
            if after - before > limit
        ]

    def describe(self) -> dict[str, str]:
        """The rows of a table."""
        if not self.samples:
            return {self.name: "no sample"}
        rows = zip(Usage._fields, *self.quarters(), LIMITS, strict=True)
        return {
            f"{self.name}: {name.replace('_', ' ')}": (
                f"{before:.1f} -> {after:.1f} ({after - before:+.1f}, at most +{limit:g})"
            )
            for name, before, after, limit in rows
        }


def read_usage(pid: int) -> Usage:
    """Read the usage of a process, without its children."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    anonymous = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Anonymous:"))
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208
    return Usage(anonymous * 1024 / MEBI, descriptors, psutil.Process(pid).num_threads(), len(list_children(pid)))
