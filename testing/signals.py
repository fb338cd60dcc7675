"""The signals that neither process supports."""

import signal

UNSUPPORTED = (
    *(signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE, signal.SIGALRM, signal.SIGVTALRM),
    *(signal.SIGPROF, signal.SIGIO, signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH),
    *(signal.SIGTSTP, signal.SIGPWR, signal.SIGSTKFLT, signal.SIGRTMIN, signal.SIGRTMAX),
)
