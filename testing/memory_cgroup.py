"""Limits the memory of processes as a container's memory limit does: beyond it the kernel kills one of them.

https://docs.kernel.org/admin-guide/cgroup-v1/memory.html, https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

import os
import signal
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

V1 = Path("/sys/fs/cgroup/memory")
V2 = Path("/sys/fs/cgroup")
MOUNTS = Path("/proc/mounts")
REMOVE_WITHIN_SECONDS = 10


class NoCgroupError(Exception):
    """A memory cgroup cannot be created on this machine; the message says why."""


class Files(NamedTuple):
    """The names of a cgroup's files in one of the two versions."""

    limits: tuple[str, ...]
    """Memory, then memory and swap together; the second is missing where the kernel does not count swap."""

    usage: str
    peak: str
    events: str
    """Has a line `oom_kill <count>`."""


FILES = {
    V1: Files(
        ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
        "memory.usage_in_bytes",
        "memory.max_usage_in_bytes",
        "memory.oom_control",
    ),
    V2: Files(("memory.max",), "memory.current", "memory.peak", "memory.events"),
}


@dataclass(frozen=True)
class MemoryCgroup:
    """A cgroup with a memory limit and without swap."""

    folder: Path
    files: Files

    def enter(self, argv: Sequence[str]) -> tuple[str, ...]:
        """The command that runs `argv` in this cgroup."""
        return ("sh", "-c", 'echo $$ >"$0" && exec "$@"', str(self.folder / "cgroup.procs"), *argv)

    @property
    def usage_bytes(self) -> int:
        """Memory in use, the page cache of the files that its processes read included."""
        return int((self.folder / self.files.usage).read_text())

    @property
    def peak_bytes(self) -> int:
        """The highest usage so far."""
        return int((self.folder / self.files.peak).read_text())

    @property
    def oom_kills(self) -> int:
        """How many processes the kernel has killed."""
        counts = dict(line.split() for line in (self.folder / self.files.events).read_text().splitlines())
        return int(counts["oom_kill"])

    @property
    def pids(self) -> list[int]:
        """The processes in it."""
        return [int(line) for line in (self.folder / "cgroup.procs").read_text().split()]


@contextmanager
def memory_cgroup(limit_bytes: int) -> Iterator[MemoryCgroup]:
    """Create a cgroup; after the block kill what still runs in it and remove it. NoCgroupError where it cannot be."""
    root = _find_root()
    cgroup = MemoryCgroup(root / f"podrole-{uuid.uuid4().hex[:8]}", FILES[root])
    try:
        cgroup.folder.mkdir()
    except OSError as error:
        raise NoCgroupError(f"no memory cgroup on this machine: {error}") from error
    try:
        _set_limit(cgroup, limit_bytes)
        yield cgroup
    finally:
        _remove(cgroup)


def _find_root() -> Path:
    kinds = {point: kind for _, point, kind, *_ in map(str.split, MOUNTS.read_text().splitlines())}
    if kinds.get(str(V1)) == "cgroup":
        return V1
    if kinds.get(str(V2)) != "cgroup2":
        raise NoCgroupError(f"no memory cgroup on this machine: neither {V1} nor {V2} is mounted")
    with suppress(OSError):  # it is there already, or the kernel refuses it and the limit has no file
        (V2 / "cgroup.subtree_control").write_text("+memory")
    return V2


def _set_limit(cgroup: MemoryCgroup, limit_bytes: int) -> None:
    try:
        for number, name in enumerate(cgroup.files.limits):
            if number == 0 or (cgroup.folder / name).exists():
                (cgroup.folder / name).write_text(str(limit_bytes))
        if (cgroup.folder / "memory.swap.max").exists():
            (cgroup.folder / "memory.swap.max").write_text("0")
    except OSError as error:
        raise NoCgroupError(f"no memory cgroup on this machine: {error}") from error


def _remove(cgroup: MemoryCgroup) -> None:
    deadline = time.monotonic() + REMOVE_WITHIN_SECONDS
    while pids := cgroup.pids:
        assert time.monotonic() < deadline, f"processes {pids} do not end"
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    cgroup.folder.rmdir()
