"""Each program as process 1, which gets a signal in the middle of its start: it ends, and soon.

Without a handler the kernel drops the signal, and the kubelet would wait for the whole grace period.
"""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from testing.process_one import ProcessOne, build_sender, running_as_process_1
from testing.services import faulty_sts as answers
from testing.services.faulty_sts import FaultySts
from tests.integration.injector.injector_process import build_file_environ

END_SECONDS = 10
"""The end takes milliseconds; this is for an overloaded machine. It is less than the kubelet's grace period."""

TERMINATED = 128 + signal.SIGTERM
SIGNALS = [signal.SIGTERM, signal.SIGINT]
OFTEN = [0, 1, 5, 20, 50, 100, 200, 300, 400]


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("events", OFTEN)
def test_signal_while_the_sidecar_starts_ends_it(
    environ: dict[str, str], tmp_path: Path, number: signal.Signals, events: int
) -> None:
    sender = build_sender(tmp_path, number, "sidecar.config", events)

    with running_as_process_1(["-m", "sidecar"], environ | sender, tmp_path) as process:
        code = process.wait(END_SECONDS)

    assert "signalled at" in process.log
    assert "Traceback" not in process.log
    is_started = (Path(environ["PODROLE_RUN_DIRECTORY"]) / "started").exists()
    assert code == TERMINATED or (code == 0 and is_started)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("events", [0, 5, 50, 100])
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("-m", "sidecar.redirect", "--block"), id="redirect"),
        pytest.param(("-m", "sidecar.probe", "redirect"), id="probe"),
    ],
)
def test_signal_while_a_short_program_starts_ends_it_as_a_failure(
    tmp_path: Path, arguments: tuple[str, ...], number: signal.Signals, events: int
) -> None:
    """An init container that ended with 0 would count as a success: the pod would start without its rules."""
    environ = {"PATH": os.environ["PATH"], **build_sender(tmp_path, number, "argparse", events)}

    with running_as_process_1(arguments, environ, tmp_path) as process:
        code = process.wait(END_SECONDS)

    assert "signalled at" in process.log
    assert "Traceback" not in process.log
    assert code == TERMINATED


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("events", [0, 20, 200, 600])
def test_signal_while_the_arbiter_starts_ends_it_with_code_0(
    tmp_path: Path, number: signal.Signals, events: int
) -> None:
    environ = build_file_environ(tmp_path) | build_sender(tmp_path, number, "logging", events)

    with running_as_process_1(["-m", "injector"], environ, tmp_path) as process:
        code = process.wait(END_SECONDS)

    assert "signalled at" in process.log
    assert "Traceback" not in process.log
    assert code == 0


@pytest.mark.parametrize("milliseconds", [0, 20, 60, 120, 250])
def test_signal_at_any_time_after_the_handlers_are_set_ends_the_sidecar(
    environ: dict[str, str], tmp_path: Path, milliseconds: int
) -> None:
    with running_as_process_1(["-m", "sidecar"], environ, tmp_path) as process:
        wait_until_handled(process.wait_for_exec(), signal.SIGTERM)
        time.sleep(milliseconds / 1000)
        process.send(signal.SIGTERM)

        code = process.wait(END_SECONDS)

    assert code in {0, TERMINATED}
    assert "Traceback" not in process.log


def wait_until_handled(pid: int, number: int) -> None:
    """Wait until a process has a handler: the mask SigCgt of https://man7.org/linux/man-pages/man5/proc_pid_status.5.html."""
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/status").read_text()
        mask = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt:"))
        if mask >> (number - 1) & 1:
            return
    raise TimeoutError("no handler was set")


def test_signal_while_sts_does_not_answer_ends_the_child_too(
    environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path
) -> None:
    faulty_sts.will(afterwards=answers.HANGING)
    with running_as_process_1(["-m", "sidecar"], environ, tmp_path) as process:
        faulty_sts.await_requests(1)
        pid = process.wait_for_exec()
        [child] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()

        process.send(signal.SIGTERM)
        code = process.wait(END_SECONDS)

        assert code == TERMINATED
        assert not Path(f"/proc/{child}").exists()


def test_new_start_after_a_signal_finds_nothing_in_its_way(environ: dict[str, str], tmp_path: Path) -> None:
    """The run directory of a pod outlives its containers."""
    for events in (100, 200, 300, 400):
        sender = build_sender(tmp_path, signal.SIGTERM, "sidecar.config", events)
        with running_as_process_1(["-m", "sidecar"], environ | sender, tmp_path) as process:
            process.wait(END_SECONDS)

    with running_as_process_1(["-m", "sidecar"], environ, tmp_path) as process:
        wait_for_start(process)

    events_logged = [json.loads(line)["event"] for line in process.log.splitlines()]
    assert "state-file-ignored" not in events_logged


def wait_for_start(process: ProcessOne) -> None:
    deadline = time.monotonic() + END_SECONDS
    while '"started"' not in process.log:
        assert time.monotonic() < deadline, process.log
        time.sleep(0.01)


def test_end_leaves_out_the_interpreters_own_which_can_crash_with_threads(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """With them it was killed by SIGSEGV in one of 200 ends."""
    (tmp_path / "sitecustomize.py").write_text("import atexit, os\natexit.register(os._exit, 99)\n")
    with running_as_process_1(["-m", "sidecar"], environ | {"PYTHONPATH": str(tmp_path)}, tmp_path) as process:
        wait_for_start(process)
        process.send(signal.SIGTERM)

        assert process.wait(END_SECONDS) == 0
