"""A call that a test continues step by step."""

from collections.abc import Callable
from threading import Lock, Thread


class CrashError(BaseException):
    """The process ends at this line."""


class SteppedCall:
    """A call in a thread that stops at each `pause`."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._resumed, self._paused = Lock(), Lock()  # quicker than Semaphore; the two threads take turns
        self._resumed.acquire()
        self._paused.acquire()
        self._injected: BaseException | None = None
        self._raised: BaseException | None = None
        self.is_over = False
        Thread(target=self._run, daemon=True).start()

    def resume(self, error: BaseException | None = None) -> None:
        """Continue to the next pause or to the end, with this error raised first; raise what the call raises."""
        self._injected = error
        self._resumed.release()
        self._paused.acquire()
        if self._raised:
            raise self._raised

    def pause(self) -> None:
        """Called in the thread: stop until it is resumed."""
        self._paused.release()
        self._wait()

    def _wait(self) -> None:
        self._resumed.acquire()
        if self._injected:
            raise self._injected

    def _run(self) -> None:
        try:
            self._wait()
            self._call()
        except BaseException as error:  # noqa: BLE001 - raised again by `resume`
            self._raised = error
        self.is_over = True
        self._paused.release()
