"""A thread that does not die silently: an error is logged and counted, and its work starts again."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from server.clocks import read_boottime
from server.deadlines import RESTART_SECONDS
from server.log_limit import LogLimit

PROCESS_LIMIT = (
    "the limit of processes is reached or there is no memory left: raise the kubelet's podPidsLimit, "
    "or find what fills it in this pod or on this node"
)
"""Threads count as processes. https://kubernetes.io/docs/concepts/policy/pid-limiting/"""

Report = Callable[[str, int, BaseException], None]
"""Logs an error of a thread: the thread's name, how many errors it had since the last call, and this one."""


def sleep_before_restart() -> None:
    """Pause after an error."""
    time.sleep(RESTART_SECONDS)


class ThreadLimitError(RuntimeError):
    """No thread can be started. The message says what to do."""


class BackgroundThread(threading.Thread):
    """Runs its work until that returns. After any error, also SystemExit, it pauses and runs it again.

    A daemon: it ends with the process.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], object],
        report: Report,
        after_error: Callable[[], object] = sleep_before_restart,
        clock: Callable[[], float] = read_boottime,
    ) -> None:
        """`after_error` pauses before the work starts again, or ends the process for work that cannot."""
        super().__init__(name=name, daemon=True)
        self.failures = 0
        """How many errors ended its work."""

        self._work = work
        self._report = report
        self._after_error = after_error
        self._clock = clock
        self._limit = LogLimit()
        self._passed_at = clock()

    @property
    def pass_age_seconds(self) -> float:
        """Since the work last called `passed`; before that, since the thread was created."""
        return self._clock() - self._passed_at

    def passed(self) -> None:
        """Note that the work has completed a pass without an error."""
        self._passed_at = self._clock()

    def start(self) -> None:
        """Start the thread; raise ThreadLimitError if that is not possible."""
        try:
            super().start()
        except RuntimeError as error:
            raise ThreadLimitError(f"no thread can be started: {PROCESS_LIMIT}") from error

    def run(self) -> None:
        """Run the work in this thread."""
        while True:
            try:
                self._work()
            except BaseException as error:  # noqa: BLE001 - SystemExit would end the thread without a line
                self._fail(error)
            else:
                return
            self._after_error()

    def _fail(self, error: BaseException) -> None:
        self.failures += 1
        count = self._limit.count(self.name, self._clock())
        if count is not None:
            with suppress(Exception):  # a log that cannot be written must not end the thread
                self._report(self.name, count, error)
