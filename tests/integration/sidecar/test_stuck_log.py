"""A sidecar whose log nobody reads, or that cannot be written."""

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from testing.sidecars import CREDENTIALS_PATH, running_sidecar
from testing.stuck_output import STUCK, full_pipe

END_SECONDS = 4
"""As long as the rest of the shutdown takes, and a second for the last lines."""

QUEUE_OF_TWO_LINES = ("-c", "from sidecar import __main__, log; log.MAX_QUEUED_BYTES = 400; __main__.main()")
"""They have 329 bytes at most, and each of the others more than 100."""


@pytest.mark.parametrize("stuck", STUCK.values(), ids=STUCK)
def test_sidecar_whose_log_is_stuck_starts_answers_and_ends(
    environ: dict[str, str], tmp_path: Path, stuck: Callable[[], AbstractContextManager[int]]
) -> None:
    with stuck() as stderr, running_sidecar(environ, tmp_path, stderr) as sidecar:
        assert sidecar.wait_until_started() == 0
        rejected = sidecar.request(CREDENTIALS_PATH, Host="evil.example")  # is logged
        served = sidecar.request(CREDENTIALS_PATH)
        began = time.monotonic()
        sidecar.process.send_signal(signal.SIGTERM)
        code = sidecar.process.wait(END_SECONDS)

    assert (rejected.status, served.status) == (403, 200)
    assert code == 0
    assert time.monotonic() - began < END_SECONDS


def test_sidecar_without_standard_error_gives_its_number_to_no_socket(environ: dict[str, str], tmp_path: Path) -> None:
    """Otherwise the log's lines would be sent to STS's child process or to a client."""
    without = ["sh", "-c", 'exec "$@" 2>&-', "sh"]
    with running_sidecar(environ, tmp_path, enter=lambda argv: [*without, *argv]) as sidecar:
        assert sidecar.wait_until_started() == 0
        target = Path(f"/proc/{sidecar.process.pid}/fd/2").readlink()
        served = sidecar.request(CREDENTIALS_PATH)

    assert target == Path(os.devnull)
    assert served.status == 200


def test_queued_lines_of_a_sidecar_are_written_in_order_once_somebody_reads(
    environ: dict[str, str], tmp_path: Path
) -> None:
    with full_pipe() as pipe, running_sidecar(environ, tmp_path, pipe.writer) as sidecar:
        sidecar.wait_until_started()
        pipe.read_new()
        text = ""
        deadline = time.monotonic() + 5
        while '"started"' not in text and time.monotonic() < deadline:
            text += pipe.read_new()
            time.sleep(0.01)

    assert [json.loads(line)["event"] for line in text.splitlines()][:2] == ["refreshed", "started"]


def test_dropped_lines_of_a_sidecar_are_counted_in_one_line(environ: dict[str, str], tmp_path: Path) -> None:
    with full_pipe() as pipe, running_sidecar(environ, tmp_path, pipe.writer, QUEUE_OF_TWO_LINES) as sidecar:
        sidecar.wait_until_started()
        sidecar.request(CREDENTIALS_PATH, Host="evil.example")
        sidecar.request(CREDENTIALS_PATH, X_Forwarded_For="192.0.2.1")
        text = ""
        deadline = time.monotonic() + 5
        while "log-lines-dropped" not in text and time.monotonic() < deadline:
            text += pipe.read_new()
            time.sleep(0.01)

    events = [json.loads(line) for line in text.splitlines()]
    assert (events[0]["event"], events[2]["event"]) == ("refreshed", "log-lines-dropped")
    assert events[2]["count"] in {2, 3}  # of the measurement of the node's metadata, too, if it is done by then
