"""The postStart hook: waits until the sidecar is started. The kubelet starts the pod's other containers after that.

Run as `python3 -I -S /app/sidecar/post_start.py`. Standard library only: it delays the start of every pod.
"""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import contract
from sidecar.deadlines import START_HOOK_POLL_SECONDS, START_HOOK_SECONDS

MAX_BYTES = 64
"""Read of the started file: two numbers."""


def read_start_time(pid: int) -> str | None:
    """Return when a process started, in clock ticks since boot; None if there is no such process.

    https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, field 22
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[19]
    except OSError:
        return None


def is_started(path: str) -> bool:
    """Whether the started file was written by a running sidecar. An earlier container may have left its own file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # never waits, even for a pipe
        with open(descriptor, "rb", buffering=0) as started:
            pid, _, start_time = (started.read(MAX_BYTES) or b"").partition(b" ")
    except OSError:
        return False
    return pid.isdigit() and read_start_time(int(pid)) == start_time.decode("latin-1")


def wait_until_started(path: str, timeout_seconds: float) -> bool:
    """Poll the started file; return False at the timeout."""
    deadline = time.monotonic() + timeout_seconds
    while not is_started(path):
        if time.monotonic() >= deadline:
            return False
        time.sleep(START_HOOK_POLL_SECONDS)
    return True


if __name__ == "__main__":
    run_directory = os.environ[contract.ENV_RUN_DIRECTORY]
    if not wait_until_started(f"{run_directory}/{contract.STARTED_FILE}", START_HOOK_SECONDS):
        sys.exit(f"podrole: the sidecar did not start within {START_HOOK_SECONDS} s; its log has the reason")
