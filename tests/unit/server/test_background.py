"""A background thread that does not die silently."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from server.background import BackgroundThread
from testing.repository import ROOT

ENDS = """
import threading
from server.background import BackgroundThread
from server.log_stream import exit_process

def fail():
    raise {error}("on purpose")

BackgroundThread("start", fail, lambda *report: print(*report, flush=True), lambda: exit_process(1)).start()
threading.Event().wait(20)
"""

ERRORS = (RuntimeError, SystemExit, MemoryError, RecursionError)
Reports = list[tuple[str, int, BaseException]]


def run(errors: Iterator[BaseException], reports: Reports, clock: list[float]) -> BackgroundThread:
    """Run a thread whose work raises each error, a second after the other, and then returns."""

    def work() -> None:
        for error in errors:
            raise error

    def pause() -> None:
        clock[0] += 1

    thread = BackgroundThread("t", work, lambda *report: reports.append(report), pause, lambda: clock[0])
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    return thread


@pytest.mark.parametrize("error", ERRORS)
def test_work_runs_again_after_an_error(error: type[BaseException]) -> None:
    reports: Reports = []
    thread = run(iter([error("a"), error("b")]), reports, [0.0])

    assert thread.failures == 2
    assert [type(found) for _, _, found in reports] == [error]


def test_each_minute_has_one_report_with_the_number_of_errors() -> None:
    reports: Reports = []
    run(iter([RuntimeError(str(number)) for number in range(62)]), reports, [0.0])

    assert [(count, str(error)) for _, count, error in reports] == [(1, "0"), (60, "60")]


def test_report_that_fails_does_not_end_the_thread() -> None:
    errors = iter([RuntimeError("a")])

    def work() -> None:
        for error in errors:
            raise error

    def report(*_: object) -> None:
        raise OSError("no log")

    thread = BackgroundThread("t", work, report, lambda: None)
    thread.start()
    thread.join(10)

    assert not thread.is_alive()
    assert thread.failures == 1


def test_age_counts_from_the_start_and_then_from_the_last_pass() -> None:
    clock = [100.0]
    thread = BackgroundThread("t", lambda: None, lambda *_: None, clock=lambda: clock[0])
    clock[0] = 160.0
    before = thread.pass_age_seconds
    thread.passed()
    clock[0] = 161.0

    assert (before, thread.pass_age_seconds) == (60.0, 1.0)


@pytest.mark.parametrize("error", ["SystemExit", "MemoryError"])
def test_work_that_cannot_start_again_ends_the_process(error: str) -> None:
    argv = [sys.executable, "-c", ENDS.format(error=error)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)

    assert done.returncode == 1
    assert done.stdout == "start 1 on purpose\n"
