"""How a program ends: by which signals, also while it is still starting, and with which last message."""

import os
import signal
from types import FrameType

from contract.text import escape

SIGNALS = (signal.SIGTERM, signal.SIGINT)

UNSUPPORTED = (
    *(signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO),
    *(signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH, signal.SIGTSTP, signal.SIGPWR, signal.SIGSTKFLT),
    *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
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
    # What started this process may have ignored or blocked signals, which an exec keeps. With SIGCHLD ignored, the
    # results of child processes are lost.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def block_unsupported_signals(*others: signal.Signals) -> None:
    """Keep UNSUPPORTED and others from this process and the ones it starts, whatever handlers a library sets."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (*UNSUPPORTED, *others))


TERMINATION_BYTES = 2048
"""The kubelet takes this much, and at most 80 lines, from the end of a failed container's log."""

TRUNCATED = " (truncated)\n"


def truncate_termination_message(text: str) -> str:
    """Truncate a text at its end. The kubelet would keep the end of a longer text and drop its beginning.

    https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
    """
    encoded = escape(text).encode()
    if len(encoded) <= TERMINATION_BYTES:
        return encoded.decode()
    beginning = encoded[: TERMINATION_BYTES - len(TRUNCATED.encode())].decode(errors="ignore")
    return beginning + TRUNCATED
