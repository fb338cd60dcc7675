"""The realtime clock, which can be set, and the boot-time clock, which cannot.

STS's timestamps and the log use realtime. Durations are measured with the boot-time clock: it includes the time that
the node was suspended, and a new process of the same pod reads the same clock.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from server.clocks import read_boottime

JUMP_SECONDS = 5.0
"""A larger change between the two clocks is a jump. A smaller one changes no decision."""


class Clocks(NamedTuple):
    """The two clocks, as functions that return seconds."""

    realtime: Callable[[], float] = time.time
    boottime: Callable[[], float] = read_boottime

    def read_offset(self) -> float:
        """Realtime minus boot time: it changes only when the realtime clock is set."""
        return self.realtime() - self.boottime()


SYSTEM = Clocks()
"""The clocks of this machine."""


def clock_jump(previous_offset: float, offset: float) -> float:
    """By how many seconds realtime was set between two offsets: 0 if it was not, negative if it was set back."""
    jump = offset - previous_offset
    return jump if abs(jump) > JUMP_SECONDS else 0.0
