"""Outputs that cannot be written: what standard error of a container can be."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple


class Pipe(NamedTuple):
    """A pipe that is full."""

    reader: int
    writer: int

    def read_new(self) -> str:
        """Return what was written since it was full, and is now in the pipe."""
        received = b""
        os.set_blocking(self.reader, False)
        with suppress(BlockingIOError):
            while piece := os.read(self.reader, 65536):
                received += piece
        return received.lstrip(b"\0").decode()


@contextmanager
def full_pipe() -> Iterator[Pipe]:
    """A pipe that nobody reads. Its writer blocks, as that of a container does."""
    reader, writer = os.pipe()
    os.write(writer, b"\0" * fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ))
    try:
        yield Pipe(reader, writer)
    finally:
        for end in (reader, writer):
            with suppress(OSError):
                os.close(end)


@contextmanager
def unread_pipe() -> Iterator[int]:
    """Like `full_pipe`, as a descriptor to write to."""
    with full_pipe() as pipe:
        yield pipe.writer


@contextmanager
def closed_pipe() -> Iterator[int]:
    """A pipe whose reader is gone: a write raises BrokenPipeError."""
    with full_pipe() as pipe:
        os.close(pipe.reader)
        yield pipe.writer


@contextmanager
def full_disk() -> Iterator[int]:
    """A file that cannot grow."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


STUCK = {"pipe-that-nobody-reads": unread_pipe, "pipe-without-a-reader": closed_pipe, "full-disk": full_disk}
