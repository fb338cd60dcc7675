"""The limit of open file descriptors: each client takes one."""

import errno
import resource
from contextlib import suppress

WANTED_FILES = 2048
"""For all connections that the listeners of a process accept, and its own files."""

MIN_FILES = 128
"""With fewer, a server would have to close each client for the next one. A process has 10 to 60 files of its own."""

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC})
"""https://man7.org/linux/man-pages/man2/accept.2.html, https://man7.org/linux/man-pages/man2/epoll_ctl.2.html"""

REASONS = {errno.EMFILE: "no-file-descriptors", errno.ENFILE: "no-file-descriptors-on-node"}


class TooFewFilesError(Exception):
    """The limit is too low, and cannot be raised. The message says what to do."""


def raise_limit() -> None:
    """Raise the soft limit as far as the hard limit allows; raise TooFewFilesError if it stays below MIN_FILES."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # a seccomp profile can forbid it
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    if soft != resource.RLIM_INFINITY and soft < MIN_FILES:
        raise TooFewFilesError(
            f"the limit of open files is {soft}, at least {MIN_FILES} are needed: "
            "raise RLIMIT_NOFILE in the settings of the node's container runtime"
        )


def describe_exhaustion(error: OSError) -> str:
    """The reason to log why a client could not be accepted."""
    return REASONS.get(error.errno or 0, "no-memory")
