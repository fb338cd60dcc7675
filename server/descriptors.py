"""The limits of open file descriptors and of epoll: each client takes one of both."""

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

WATCH_LIMIT = (
    "the processes of its user have as many epoll watches as fs.epoll.max_user_watches allows: "
    "raise this sysctl on the node"
)
"""Of all pods of the node: https://man7.org/linux/man-pages/man7/epoll.7.html."""


class LoopStartError(Exception):
    """The kernel refuses what an event loop needs. The message says what to do."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the event loop cannot start: {explain_refusal(error)}")


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


def explain_refusal(error: OSError) -> str:
    """Why the kernel refuses a socket, or to watch it."""
    return WATCH_LIMIT if error.errno == errno.ENOSPC else error.strerror or str(error)


def describe_exhaustion(error: OSError) -> str:
    """The reason to log why a client could not be accepted."""
    return REASONS.get(error.errno or 0, "no-memory")
