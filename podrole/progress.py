"""Prints progress messages for operations that take more than two seconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

from podrole.deadlines import PROGRESS_SECONDS
from podrole.terminal import write


@contextmanager
def progress_message(action: str, delay_seconds: float = PROGRESS_SECONDS) -> Iterator[None]:
    """Print on standard error what the command is doing, once it takes longer than `delay_seconds`."""
    timer = Timer(delay_seconds, lambda: write(f"podrole: {action} ...", is_error=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
