"""One loading at a time in one pod's network: iptables checks whether a jump exists, and then adds it."""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from typing import IO

from sidecar.deadlines import REDIRECT_LOCK_POLL_SECONDS, REDIRECT_LOCK_SECONDS

NETWORK = "/proc/self/ns/net"
"""The network namespace itself is the lock's file: no directory needs to be shared or writable."""


@contextlib.contextmanager
def hold_lock(wait_seconds: float = REDIRECT_LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock of this network namespace. The kernel releases it when the process ends."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a sandbox may have no such file
            _wait_for(stack.enter_context(open(NETWORK, "rb")), time.monotonic() + wait_seconds)
        yield


def _wait_for(file: IO[bytes], deadline: float) -> None:
    while time.monotonic() < deadline:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(REDIRECT_LOCK_POLL_SECONDS)
        else:
            return
