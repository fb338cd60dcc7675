"""A start with a tenth of a CPU, as with `limits.cpu: 100m`, within the hook's timeout."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from testing.repository import ROOT
from testing.services.faulty_sts import FaultySts
from testing.sidecars import CREDENTIALS_PATH, build_environ, running_sidecar

CPU = Path("/sys/fs/cgroup/cpu")
PERIOD_MICROSECONDS = 100_000


@pytest.fixture
def tenth_of_a_cpu() -> Iterator[Path]:
    """A cgroup; a pid that is written to `cgroup.procs` joins it."""
    group = CPU / f"podrole-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_MICROSECONDS))
        (group / "cpu.cfs_quota_us").write_text(str(PERIOD_MICROSECONDS // 10))
    except OSError as error:
        with suppress(OSError):
            group.rmdir()
        pytest.skip(f"no CPU quota can be set here, which takes root and cgroup v1: {error}")
    yield group
    for pid in (group / "cgroup.procs").read_text().split():
        (CPU / "cgroup.procs").write_text(pid)
    group.rmdir()


def test_start_with_a_tenth_of_a_cpu_succeeds(tenth_of_a_cpu: Path, faulty_sts: FaultySts, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("to.ke.n")
    environ = build_environ(tmp_path, faulty_sts.url)

    with running_sidecar(environ, tmp_path) as sidecar:
        (tenth_of_a_cpu / "cgroup.procs").write_text(str(sidecar.process.pid))
        hook = [sys.executable, "-I", "-S", str(ROOT / "sidecar" / "post_start.py")]
        assert subprocess.run(hook, env=environ, check=False, timeout=60).returncode == 0

        assert sidecar.request(CREDENTIALS_PATH).status == 200
        assert was_throttled(tenth_of_a_cpu)


def was_throttled(group: Path) -> bool:
    """Whether the limit had an effect."""
    counts = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
    return int(counts["nr_throttled"]) > 0
