"""Which signals end a program, also while it is still starting."""

import os
import signal
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)

UNSUPPORTED = (
    *(signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO),
    *(signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH),
)
"""By default, or in gunicorn's arbiter, they would end the process, stop it or start others. Python ignores SIGPIPE."""


def exit_on_signals(code: int) -> None:
    """End this process with this code at the next of SIGNALS. Entry points call it before their other imports.

    A container's first process must have a handler for each signal, as the kernel drops those without one:
    https://man7.org/linux/man-pages/man7/pid_namespaces.7.html
    """

    def end(_signal: int, _frame: FrameType | None) -> None:
        # Not sys.exit: an exception is lost if it is raised in a callback of the interpreter, such as those of imports.
        os._exit(code)

    for number in SIGNALS:
        signal.signal(number, end)


def block_unsupported_signals() -> None:
    """Keep UNSUPPORTED from this process and the ones it starts, whatever handlers a library sets for them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, UNSUPPORTED)
