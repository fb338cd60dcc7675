"""Measures seconds of a server, not of the machine."""

import os
import time
from pathlib import Path


class Stopwatch:
    """Seconds without those in which this process or the server waited for a CPU: tests run beside others.

    https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat
    """

    def __init__(self, *pids: int) -> None:
        self._pids = os.getpid(), *pids
        self._began = self._read_clock()

    def read(self) -> float:
        """The seconds since the start."""
        return self._read_clock() - self._began

    def _read_clock(self) -> float:
        waits = sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) for pid in self._pids)
        return time.monotonic() - waits / 1e9
