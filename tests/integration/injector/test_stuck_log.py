"""An injector whose log nobody reads, or that cannot be written."""

import json
import re
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from testing.stuck_output import STUCK, full_pipe
from tests.integration.injector.injector_process import (
    CHANGED,
    Injector,
    build_file_environ,
    open_connection,
    run_injector,
    send_review,
)
from tests.unit.injector.k8s.watched_cluster import wait_until

REVIEWS = 40
END_SECONDS = 6
"""As long as the rest of the shutdown takes, and a second each for the last lines of arbiter and worker."""

SMALL_QUEUE = ("-c", CHANGED.format(change="from injector import log; log.MAX_QUEUED_BYTES = 4000"))


def send_reviews(injector: Injector) -> set[int]:
    """Reviews of which each is logged."""
    with closing(open_connection(injector)) as connection:
        return {send_review(connection).status for _ in range(REVIEWS)}


def read_dropped(injector: Injector) -> int:
    found = re.search(r"^podrole_log_lines_dropped_total (\d+)", injector.get("/metrics")[1], re.MULTILINE)
    assert found
    return int(found[1])


@pytest.mark.parametrize("stuck", STUCK.values(), ids=STUCK)
def test_injector_whose_log_is_stuck_starts_answers_and_ends(
    tmp_path: Path, stuck: Callable[[], AbstractContextManager[int]]
) -> None:
    with stuck() as stderr, run_injector(tmp_path, build_file_environ(tmp_path), SMALL_QUEUE, stderr) as injector:
        injector.wait_for_worker()
        statuses = send_reviews(injector)
        dropped = read_dropped(injector)
        killed = injector.worker
        killed.kill()  # the arbiter logs that
        injector.wait_for_worker(other_than=killed.pid)
        began = time.monotonic()
        injector.process.send_signal(signal.SIGTERM)
        code = injector.process.wait(END_SECONDS)

    assert statuses == {200}
    assert dropped > 0
    assert code == 0
    assert time.monotonic() - began < END_SECONDS


def test_dropped_lines_of_the_injector_are_counted_in_one_line_once_somebody_reads(tmp_path: Path) -> None:
    with (
        full_pipe() as pipe,
        run_injector(tmp_path, build_file_environ(tmp_path), SMALL_QUEUE, pipe.writer) as injector,
    ):
        injector.wait_for_worker()
        send_reviews(injector)
        dropped = read_dropped(injector)
        text = [pipe.read_new()]

        def has_note() -> bool:
            text.append(pipe.read_new())
            return "lines dropped" in "".join(text)

        wait_until("the dropped lines are counted", has_note)

    lines = [json.loads(line) for line in "".join(text).splitlines()]
    assert dropped > 0
    assert lines[-1]["message"] == f"{dropped} log lines dropped"
    assert sum(line["logger"] == "podrole.admission" for line in lines) + dropped >= REVIEWS
    assert lines == sorted(lines, key=lambda line: line["time"])


def test_queued_line_of_the_arbiter_is_written_once_somebody_reads(tmp_path: Path) -> None:
    with full_pipe() as pipe, run_injector(tmp_path, build_file_environ(tmp_path), stderr=pipe.writer) as injector:
        killed = injector.wait_for_worker()
        killed.kill()
        injector.wait_for_worker(other_than=killed.pid)
        text = [pipe.read_new()]

        def has_line() -> bool:
            text.append(pipe.read_new())
            return f"Worker (pid:{killed.pid}) was sent SIGKILL" in "".join(text)

        wait_until("the arbiter's line is written", has_line)
