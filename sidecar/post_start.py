"""The postStart hook: waits until the sidecar is started, so that no other container of the pod starts before.

Run as `python3 -I -S /app/sidecar/post_start.py`: standard library only, as it runs in every pod's start.
"""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import contract

DEADLINE_SECONDS = 30
"""A hook that does not return holds the pod's deletion and its logs: it must end by itself."""

LOOK_SECONDS = 0.02


def read_start_time(pid: int) -> str | None:
    """When a process started, in clock ticks since the machine's boot; None if there is no such process.

    https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, field 22
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[19]
    except OSError:
        return None


def is_started(path: str) -> bool:
    """Whether the file was written by a sidecar that still runs: one of an earlier boot may have left its own."""
    try:
        with open(path, encoding="ascii") as started:
            pid, _, start_time = started.read().partition(" ")
    except OSError:
        return False
    return pid.isdigit() and read_start_time(int(pid)) == start_time


def wait(path: str, deadline_seconds: float) -> bool:
    """Look until it is started or the time is over."""
    deadline = time.monotonic() + deadline_seconds
    while not is_started(path):
        if time.monotonic() >= deadline:
            return False
        time.sleep(LOOK_SECONDS)
    return True


if __name__ == "__main__":
    run_directory = os.environ[contract.ENV_RUN_DIRECTORY]
    if not wait(f"{run_directory}/{contract.STARTED_FILE}", DEADLINE_SECONDS):
        sys.exit(f"podrole: the sidecar was not started after {DEADLINE_SECONDS} s; its log says why")
