"""A bounded pool of threads for handlers that block. It is used by the loop's thread only.

concurrent.futures keeps a task whose thread could not be started, has no bound, and imports logging.
"""

from collections.abc import Callable
from queue import SimpleQueue

from server.background import BackgroundThread, Report

Task = Callable[[], object]
"""It must catch its own exceptions: whoever waits for its result would wait for ever."""


class ThreadPool:
    """Starts threads on demand; they end with the process."""

    def __init__(self, max_threads: int, max_waiting: int, report: Report) -> None:
        self._max_threads = max_threads
        self._max_tasks = max_threads + max_waiting
        self._report = report
        self._threads = 0
        self._unfinished = 0
        self._tasks: SimpleQueue[Task] = SimpleQueue()

    def submit(self, task: Task) -> bool:
        """Run a task in a thread; return False if too many wait, or there is no thread and none can be started.

        Call `finished` after each task.
        """
        if self._unfinished >= self._max_tasks:
            return False
        if self._unfinished >= self._threads and self._threads < self._max_threads:
            self._start_thread()
        if not self._threads:
            return False
        self._unfinished += 1
        self._tasks.put(task)
        return True

    def finished(self) -> None:
        """Count a task as finished."""
        self._unfinished -= 1

    def _start_thread(self) -> None:
        try:
            BackgroundThread("request", self._run, self._report, after_error=lambda: None).start()
        except RuntimeError as error:  # the limit of processes of the pod or the user
            self._report("request", 1, error)
            return
        self._threads += 1

    def _run(self) -> None:
        while True:
            self._tasks.get()()
