"""Standard error as a stream that never blocks."""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from server.log_stream import LogStream, open_again
from testing.stuck_output import STUCK, Pipe, full_pipe

LINE = "0123456789\n"
MAX_BYTES = 20 * len(LINE)


def describe(count: int) -> str:
    return f"{count} dropped\n"


def read_until(pipe: Pipe, stream: LogStream, is_complete: Callable[[str], bool]) -> str:
    """Read while the stream drains."""
    received = ""
    deadline = time.monotonic() + 10
    while not is_complete(received) and time.monotonic() < deadline:
        received += pipe.read_new()
        stream.drain()
    return received


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    with full_pipe() as one:
        yield one


@pytest.fixture
def stream(pipe: Pipe) -> LogStream:
    return LogStream(pipe.writer, MAX_BYTES, describe)


@pytest.mark.parametrize("stuck", STUCK.values(), ids=STUCK)
def test_write_to_a_stuck_output_returns_at_once_and_keeps_no_more_than_the_limit(
    stuck: Callable[[], AbstractContextManager[int]],
) -> None:
    with stuck() as descriptor:
        stream = LogStream(descriptor, MAX_BYTES, describe)
        began = time.monotonic()
        for _ in range(1000):
            stream.write(LINE)

        assert time.monotonic() - began < 1
        assert stream.dropped == 980
        stream.finish(0.1)
        assert time.monotonic() - began < 2


def test_closed_descriptor_drops_lines_without_an_error() -> None:
    reader, writer = os.pipe()
    stream = LogStream(writer, len(LINE), describe)
    os.close(reader)
    os.close(writer)

    stream.write(LINE)
    stream.write(LINE)
    stream.finish()

    assert stream.dropped == 1


def test_queued_lines_are_written_in_order_and_the_dropped_ones_counted(pipe: Pipe, stream: LogStream) -> None:
    for number in range(100):
        stream.write(f"line {number:5}\n")

    pipe.read_new()
    stream.drain()

    kept = [f"line {number:5}" for number in range(20)]
    assert pipe.read_new().splitlines() == [*kept, "80 dropped"]


def test_line_after_dropped_ones_comes_after_their_number(pipe: Pipe, stream: LogStream) -> None:
    for _ in range(21):
        stream.write(LINE)
    pipe.read_new()

    stream.write("next\n")

    assert pipe.read_new().splitlines() == [LINE.strip()] * 20 + ["1 dropped", "next"]


def test_dropped_lines_are_reported_once(pipe: Pipe, stream: LogStream) -> None:
    for _ in range(22):
        stream.write(LINE)
    pipe.read_new()
    stream.drain()
    pipe.read_new()
    stream.drain()
    stream.write(LINE)

    assert pipe.read_new() == LINE
    assert stream.dropped == 2


def test_text_longer_than_the_queue_is_dropped(stream: LogStream) -> None:
    stream.write("x" * (MAX_BYTES + 1))

    assert stream.dropped == 1


def test_line_longer_than_a_page_is_complete(pipe: Pipe) -> None:
    stream = LogStream(pipe.writer, 100_000, describe)
    text = "".join(f"{number}," for number in range(5000)) + "\n"
    stream.write(text)

    assert read_until(pipe, stream, lambda received: received.endswith("\n")) == text


def test_finish_waits_for_a_slow_reader(pipe: Pipe, stream: LogStream) -> None:
    stream.write(LINE)
    reader = threading.Timer(0.2, os.read, (pipe.reader, 65536))
    reader.start()

    stream.finish(5)
    reader.join()

    assert pipe.read_new() == LINE


def test_copy_of_a_process_does_not_repeat_its_lines(pipe: Pipe, stream: LogStream) -> None:
    for _ in range(30):
        stream.write(LINE)

    stream.forget()
    pipe.read_new()
    stream.write("copy\n")

    assert pipe.read_new() == "copy\n"


def test_lines_of_several_threads_are_not_mixed(pipe: Pipe) -> None:
    stream = LogStream(pipe.writer, 10_000_000, describe)
    texts = [f"{name * 300}\n" for name in "abcd"]

    def write(text: str) -> None:
        for _ in range(200):
            stream.write(text)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    received = read_until(pipe, stream, lambda text: text.count("\n") == 800)
    for thread in threads:
        thread.join()

    assert {*received.splitlines(keepends=True)} == {*texts}


def test_line_of_a_signal_handler_within_a_write_comes_after_it(
    pipe: Pipe, stream: LogStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe.read_new()
    write = os.write
    interruptions = ["from the handler\n"]

    def write_and_interrupt(descriptor: int, data: bytes) -> int:
        written = write(descriptor, data)
        while interruptions:
            stream.write(interruptions.pop())
        return written

    monkeypatch.setattr(os, "write", write_and_interrupt)
    stream.write("first\n")

    assert pipe.read_new() == "first\nfrom the handler\n"


def test_pipe_becomes_non_blocking_for_this_process_only(pipe: Pipe) -> None:
    ours = os.dup(pipe.writer)
    open_again(ours)
    try:
        assert fcntl.fcntl(ours, fcntl.F_GETFL) & os.O_NONBLOCK
        assert not fcntl.fcntl(pipe.writer, fcntl.F_GETFL) & os.O_NONBLOCK
        assert os.get_inheritable(ours), "the child that calls STS logs there, too"
    finally:
        os.close(ours)


def test_file_that_another_process_writes_is_appended_to(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb", buffering=0) as file:
        file.write(b"before\n")
        ours = os.dup(file.fileno())
        open_again(ours)
        LogStream(ours, MAX_BYTES, describe).write(LINE)
        os.close(ours)
        file.write(b"after\n")

    assert (tmp_path / "log").read_text() == f"before\n{LINE}after\n"
