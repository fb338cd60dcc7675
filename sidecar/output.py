"""Standard output of the short programs. A full disk or a closed descriptor is an error, not a traceback."""

import errno
import os
import sys


def write_output(text: str) -> None:
    """Write to standard output; raise OSError if that fails."""
    output = sys.stdout
    if output is None:  # it was closed when the program started
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    try:
        output.write(text)
        output.flush()
    except OSError:
        sys.stdout = None  # at its end Python would try again, and print a traceback
        raise


def write_note(text: str) -> None:
    """Write a line to standard error. If that fails, what the program does is still done."""
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - the program's only output
    except OSError:
        sys.stderr = None  # as above
