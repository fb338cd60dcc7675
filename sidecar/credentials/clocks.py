"""The two clocks: the wall's, which can be set, and a steady one, which cannot. Nothing is decided here.

What STS says is wall time, and what a person reads is too. How long something lasts is measured on the steady clock:
it counts on while a node sleeps, and a new process of the same pod reads the same one.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

STEP_SECONDS = 5.0
"""A difference beyond this is a clock that was set. What is below changes no decision."""


def read_boottime() -> float:
    """Seconds since the machine's boot, sleep included.

    https://man7.org/linux/man-pages/man2/clock_gettime.2.html, CLOCK_BOOTTIME
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clocks(NamedTuple):
    """Where the time comes from."""

    wall: Callable[[], float] = time.time
    boottime: Callable[[], float] = read_boottime

    def read_offset(self) -> float:
        """What the wall clock is ahead of the steady one: it changes when somebody sets the clock."""
        return self.wall() - self.boottime()


SYSTEM = Clocks()
"""This machine's."""


def clock_jump(before: float, offset: float) -> float:
    """By how many seconds the wall clock was set between two offsets: 0 if it was not, below 0 if it was set back."""
    step = offset - before
    return step if abs(step) > STEP_SECONDS else 0.0
