"""Programs start or report why not, and are stopped; moto's STS identifies the keys that it issued."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from testing.services import programs
from testing.services.programs import Program, ServiceError, running
from testing.sts_client import assume, build_client


def build_script(code: str) -> Program:
    return Program("script", (sys.executable, "-c", code), ready=r"listening on (\d+)", remedy="free the port")


def test_program_that_ends_early_raises_its_log_and_remedy(tmp_path: Path) -> None:
    program = build_script("import sys; print('no such device'); sys.exit(3)")

    with pytest.raises(ServiceError, match=r"script ended with code 3: free the port(?s:.*)no such device"):
        running(program, tmp_path).__enter__()


def test_program_that_is_never_ready_is_stopped(tmp_path: Path) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def popen(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(*args, **kwargs))
        return started[-1]

    with pytest.raises(ServiceError, match=r"script did not serve in time"):
        running(build_script("import time; time.sleep(60)"), tmp_path, popen, within_seconds=0.1).__enter__()

    assert started[0].returncode == -signal.SIGTERM


def test_program_is_stopped_if_the_test_fails(tmp_path: Path) -> None:
    program = build_script("import os, time; print(f'listening on {os.getpid()}', flush=True); time.sleep(60)")

    pids: list[int] = []

    def use_and_fail() -> None:
        with running(program, tmp_path) as match:
            pids.append(int(match[1]))
            raise AssertionError

    with pytest.raises(AssertionError):
        use_and_fail()

    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_port_in_use_is_named_in_the_error(sts: str, tmp_path: Path) -> None:
    port = int(sts.rpartition(":")[2])

    with pytest.raises(ServiceError, match=rf"sts ended with code 1: (?s:.*)Port {port} is in use"):
        programs.sts(tmp_path, port=port).__enter__()


def test_moto_identifies_the_keys_it_issued(sts: str) -> None:
    credentials = assume(sts)

    identity = build_client(sts, credentials=credentials).get_caller_identity()

    assert identity["Arn"] == "arn:aws:sts::111122223333:assumed-role/reader/team-a.writer-0"
    assert identity["Account"] == "111122223333"


def test_moto_supports_role_chaining(sts: str) -> None:
    client = build_client(sts, credentials=assume(sts))
    other = client.assume_role(RoleArn="arn:aws:iam::444455556666:role/other", RoleSessionName="second")["Credentials"]

    identity = build_client(sts, credentials=other).get_caller_identity()

    assert identity["Arn"] == "arn:aws:sts::444455556666:assumed-role/other/second"
