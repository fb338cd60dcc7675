"""Limits a process to a share of a CPU, as a pod's CPU limit does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PERIOD_MICROSECONDS = 100_000
V2 = Path("/sys/fs/cgroup")
V1 = Path("/sys/fs/cgroup/cpu")


@contextmanager
def cpu_limit(millicores: int) -> Iterator[Path | None]:
    """Create a cgroup with the limit; yield its file for pids, or None if this machine does not allow it.

    https://docs.kernel.org/scheduler/sched-bwc.html
    """
    quota = millicores * PERIOD_MICROSECONDS // 1000
    group = (V1 if V1.is_dir() else V2) / f"podrole-bench-{millicores}"
    try:
        group.mkdir()
    except OSError:
        yield None
        return
    try:
        yield _set_quota(group, quota)
    finally:
        group.rmdir()


def _set_quota(group: Path, quota: int) -> Path | None:
    try:
        if group.parent == V1:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_MICROSECONDS))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (group / "cpu.max").write_text(f"{quota} {PERIOD_MICROSECONDS}")
    except OSError:
        return None
    return group / "cgroup.procs"
