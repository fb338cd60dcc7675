"""Standard error as a stream that never blocks a request: what cannot be written at once waits in memory.

A pipe that nobody reads, a full disk or a closed pipe would otherwise stop each thread that logs.
"""

import io
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from select import POLLOUT, poll
from stat import S_ISCHR, S_ISFIFO
from threading import RLock
from typing import NoReturn

from server.deadlines import LOG_SECONDS

STANDARD_ERROR = 2

PIECE_BYTES = 4096
"""Written at once. A pipe that `poll` reports as writable takes as much without blocking.

https://man7.org/linux/man-pages/man7/pipe.7.html, PIPE_BUF
"""


class LogStream(io.TextIOBase):
    """Writes each text in the order of the calls. A text that is too long for the queue is dropped and counted."""

    def __init__(self, descriptor: int, max_bytes: int, describe_dropped: Callable[[int], str]) -> None:
        """`max_bytes` is the limit of the queue; `describe_dropped` returns the line that stands for dropped ones."""
        self.dropped = 0
        """Lines that were dropped so far."""

        self._descriptor = descriptor
        self._max_bytes = max_bytes
        self._describe_dropped = describe_dropped
        self._reported = 0
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._is_writing = False
        self._lock = RLock()  # a signal handler that logs can interrupt its own thread within `write`

    def write(self, text: str) -> int:
        """Write a text, or queue it."""
        data = text.encode(errors="backslashreplace")
        with self._lock:
            self._write_queue()
            self._append(data)
            self._write_queue()
        return len(text)

    def drain(self) -> None:
        """Write what is queued, as far as that is possible now."""
        with self._lock:
            self._write_queue()

    def finish(self, seconds: float = LOG_SECONDS) -> None:
        """Write what is queued; wait so long for a reader."""
        deadline = time.monotonic() + seconds
        while True:
            queued = self._queued_bytes
            self.drain()
            remaining = deadline - time.monotonic()
            is_stuck = self._queued_bytes == queued and _is_writable(self._descriptor, 0)  # such as a full disk
            if not self._queue or is_stuck or remaining <= 0:
                return
            _is_writable(self._descriptor, remaining)

    def forget(self) -> None:
        """Drop the queue: in a copy of the process that wrote it, which writes it itself."""
        self._queue.clear()
        self._queued_bytes = 0
        self._reported = self.dropped

    def fileno(self) -> int:
        """The file descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Yes."""
        return True

    def _append(self, data: bytes) -> None:
        note = self._describe_unreported()
        if self._queued_bytes + len(note) + len(data) > self._max_bytes:
            self.dropped += max(1, data.count(b"\n"))
            return
        self._push(note)
        self._push(data)
        if note:
            self._reported = self.dropped

    def _describe_unreported(self) -> bytes:
        count = self.dropped - self._reported
        return self._describe_dropped(count).encode() if count else b""

    def _push(self, data: bytes) -> None:
        if data:
            self._queue.append(data)
            self._queued_bytes += len(data)

    def _write_queue(self) -> None:
        if self._is_writing:
            return
        self._is_writing = True
        try:
            while self._queue and self._write_piece():
                pass
            if not self._queue and self._reported < self.dropped:
                self._append(b"")  # the note
                self._write_piece()
        finally:
            self._is_writing = False

    def _write_piece(self) -> bool:
        """Write the beginning of the queue; return whether that was possible."""
        first = self._queue[0]
        try:
            if not _is_writable(self._descriptor, 0):
                return False
            written = os.write(self._descriptor, first[:PIECE_BYTES])
        except OSError:  # nobody reads, the disk is full, or it is closed: it stays in the queue
            return False
        self._queued_bytes -= written
        if written == len(first):
            self._queue.popleft()
        else:
            self._queue[0] = first[written:]
        return True


def install(max_bytes: int, describe_dropped: Callable[[int], str]) -> None:
    """Replace `sys.stderr`. What is queued at a normal exit is written then; `exit_process` writes it too."""
    import atexit  # noqa: PLC0415 - only processes that log

    open_closed()
    open_again(STANDARD_ERROR)
    stream = LogStream(STANDARD_ERROR, max_bytes, describe_dropped)
    sys.stderr = stream
    atexit.register(stream.finish)
    os.register_at_fork(after_in_child=stream.forget)


def open_closed() -> None:
    """Give closed standard descriptors to /dev/null: else a socket or file gets one, and the log."""
    with suppress(OSError):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - its own signature
        os.close(descriptor)


def open_again(descriptor: int) -> None:
    """Make a descriptor of a pipe or terminal non-blocking for this process and its children only.

    The flag belongs to the open file description, which the process that started this one may use, too. If it cannot
    be opened again, as a socket, a write can only block while another process fills it after `poll`.
    """
    with suppress(OSError):
        mode = os.fstat(descriptor).st_mode
        if S_ISFIFO(mode) or S_ISCHR(mode):
            own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
            os.dup2(own, descriptor)
            os.close(own)


def drain_log() -> None:
    """Write what is queued, as far as that is possible now. Call it about once a second."""
    if isinstance(sys.stderr, LogStream):
        sys.stderr.drain()


def finish_log() -> None:
    """Write what is queued; wait for LOG_SECONDS at most."""
    if isinstance(sys.stderr, LogStream):
        sys.stderr.finish()


def exit_process(code: int) -> NoReturn:
    """End the process with its threads, from any of them, after its log. Python's own exit can crash while they run."""
    finish_log()
    os._exit(code)


def count_dropped_lines() -> int:
    """How many lines of the log of this process were dropped."""
    return sys.stderr.dropped if isinstance(sys.stderr, LogStream) else 0


def _is_writable(descriptor: int, timeout_seconds: float) -> bool:
    poller = poll()  # one object cannot be used by two threads at once
    poller.register(descriptor, POLLOUT)
    return bool(poller.poll(timeout_seconds * 1000))
