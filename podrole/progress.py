"""Prints progress messages for operations that take more than two seconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

from podrole.terminal import write

DELAY_SECONDS = 2.0


@contextmanager
def progress_message(action: str, delay_seconds: float = DELAY_SECONDS) -> Iterator[None]:
    """Print on standard error what the command is doing, once it takes longer than `delay_seconds`."""
    timer = Timer(delay_seconds, lambda: write(f"podrole: {action} ...", is_error=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
