"""Returns free memory to the operating system.

The C library keeps what was freed in the middle of its heap, for example by the end of many TLS connections. Without
this, the memory of a worker would be that of its largest burst, and grow a little with each further one.
"""

from contextlib import suppress


def release_free_memory() -> None:
    """Takes a few milliseconds at most. Without effect where the C library is not glibc.

    https://man7.org/linux/man-pages/man3/malloc_trim.3.html
    """
    import ctypes  # noqa: PLC0415 - the arbiter does not need it

    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
