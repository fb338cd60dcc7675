"""One loading at a time in one pod's network: iptables checks whether a jump exists, and then adds it."""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from typing import IO

NETWORK = "/proc/self/ns/net"
"""The network namespace itself is the lock's file: no directory needs to be shared or writable."""

WAIT_SECONDS = 20.0
"""Then the rules are loaded without the lock. Any process of the pod can hold it, and a second jump does no harm."""

PAUSE_SECONDS = 0.02


@contextlib.contextmanager
def hold_lock(wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
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
            time.sleep(PAUSE_SECONDS)
        else:
            return
