"""Tells a person who waits what for. What takes less than two seconds is not worth a line."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

import click

PATIENCE_SECONDS = 2.0


@contextmanager
def progress_message(what: str, patience_seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Say on standard error what is being waited for, once it has taken that long."""
    timer = Timer(patience_seconds, lambda: click.echo(f"podrole: {what} ...", err=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
