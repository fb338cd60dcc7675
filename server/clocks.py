"""A clock for ages, which nobody sets and which does not stop."""

import time


def read_boottime() -> float:
    """Seconds since boot, including the time that the node was suspended.

    https://man7.org/linux/man-pages/man2/clock_gettime.2.html, CLOCK_BOOTTIME
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)
