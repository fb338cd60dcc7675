"""Starts a process with a share of a core, as a CPU limit does in a pod."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PERIOD_MICROSECONDS = 100_000
V2 = Path("/sys/fs/cgroup")
V1 = Path("/sys/fs/cgroup/cpu")


@contextmanager
def cpu_limit(millicores: int) -> Iterator[Path | None]:
    """Make a group with the limit; give the file that takes pids, or None where this machine does not let one.

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
