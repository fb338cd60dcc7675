"""A run directory whose file system is full, read-only or without inodes, at the start and later.

The containers of a pod share it: any of them can fill it.
"""

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import contract
from testing import small_memory as memory
from testing.ports import find_free_port
from testing.repository import ROOT
from testing.services.faulty_sts import FaultySts
from testing.sidecars import CREDENTIALS_PATH, Sidecar, build_environ, running_sidecar
from testing.small_memory import SmallMemory, small_memory
from tests.unit.injector.k8s.watched_cluster import wait_until

RUN_DIRECTORY = "/dev/shm/podrole-run"
CANNOT = f"podrole-sidecar: PODROLE_RUN_DIRECTORY cannot be used: {RUN_DIRECTORY}: "
FULL = "No space left on device: its file system is full; the containers of the pod share it\n"
NO_INODES = "No space left on device: its file system has no inodes left; the containers of the pod share it\n"

GATED = """
import os, runpy, time
from sidecar import server
from sidecar.credentials import refresher

def wait(_server):
    while not os.path.exists({gate!r}):
        time.sleep(0.01)

server.Server._verify_network = wait
refresher.MAX_SLEEP_SECONDS = 0.1
runpy.run_module("sidecar", run_name="__main__", alter_sys=True)
"""
"""A sidecar that is not started before the gate, a file, exists, and whose refresher wakes up often."""


@pytest.fixture
def environ(faulty_sts: FaultySts, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "token").write_text("to.ke.n")
    return build_environ(tmp_path, faulty_sts.url, PODROLE_RUN_DIRECTORY=RUN_DIRECTORY)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


def run_hook(sidecar: Sidecar, namespace: SmallMemory) -> int:
    """Run the postStart hook with the namespace's files."""
    environ = {**sidecar.environ, "PODROLE_RUN_DIRECTORY": str(namespace.find(RUN_DIRECTORY))}
    return dataclasses.replace(sidecar, environ=environ).wait_until_started()


def read_status(sidecar: Sidecar) -> dict[str, Any]:
    return dict(json.loads(sidecar.request(contract.STATUS_PATH).body))


@pytest.mark.parametrize(
    ("options", "command", "reason"),
    [
        pytest.param("size=4k", memory.FILL, FULL, id="full"),
        pytest.param("nr_inodes=1", ":", NO_INODES, id="no-inode-for-the-directory"),
        pytest.param("nr_inodes=2", ":", NO_INODES, id="no-inode-for-the-started-file"),
        pytest.param("size=1m", memory.MAKE_READ_ONLY, "Read-only file system\n", id="read-only"),
        pytest.param(
            "size=1m",
            f"mkdir -m 700 {RUN_DIRECTORY}; {memory.MAKE_READ_ONLY}",
            "Read-only file system\n",
            id="read-only-with-the-directory",
        ),
        pytest.param("size=1m", "chmod 555 .", "Permission denied\n", id="no-permission"),
    ],
)
def test_start_without_room_in_the_run_directory_is_one_sentence(
    environ: dict[str, str], options: str, command: str, reason: str
) -> None:
    with small_memory(options) as namespace:
        namespace.run(command)
        argv = [sys.executable, *namespace.build_program("sidecar", "setpriv", "--bounding-set=-dac_override")]
        done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (1, CANNOT + reason)


@pytest.mark.parametrize(
    "command",
    [f"touch {RUN_DIRECTORY}; chmod 700 {RUN_DIRECTORY}", f"mkfifo -m 700 {RUN_DIRECTORY}"],
    ids=["file", "pipe"],
)
def test_run_directory_that_is_something_else_is_named(environ: dict[str, str], command: str) -> None:
    with small_memory("size=1m") as namespace:
        namespace.run(command)
        argv = [sys.executable, *namespace.build_program("sidecar")]
        done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert (
        done.stderr
        == f"podrole-sidecar: PODROLE_RUN_DIRECTORY: {RUN_DIRECTORY} must be a directory of user 0 with mode 0700\n"
    )


@pytest.mark.parametrize(
    "options",
    [pytest.param("size=4k", id="one-page"), pytest.param("nr_inodes=3", id="one-inode-beside-the-directory")],
)
def test_start_with_room_for_the_started_file_alone_serves_credentials(
    environ: dict[str, str], tmp_path: Path, options: str
) -> None:
    with (
        small_memory(options) as namespace,
        running_sidecar(environ, tmp_path, program=namespace.build_program("sidecar")) as sidecar,
    ):
        assert run_hook(sidecar, namespace) == 0
        assert sidecar.request(CREDENTIALS_PATH).status == 200
        assert sidecar.log.count('"state-file-write-failed"') == 1


@pytest.mark.parametrize("fill", [memory.FILL, memory.USE_INODES], ids=["full", "no-inodes"])
def test_memory_that_is_filled_before_the_start_is_done_does_not_prevent_it(
    environ: dict[str, str], tmp_path: Path, gate: Path, fill: str
) -> None:
    with small_memory("size=64k,nr_inodes=16") as namespace:
        program = namespace.build_command("-c", GATED.format(gate=str(gate)))
        with running_sidecar(environ, tmp_path, program=program) as sidecar:
            sidecar.wait_for_log('"refreshed"')
            namespace.run(fill)
            gate.touch()

            assert run_hook(sidecar, namespace) == 0
            assert sidecar.request(CREDENTIALS_PATH).status == 200


@pytest.mark.parametrize("fill", [memory.FILL, memory.USE_INODES], ids=["full", "no-inodes"])
def test_sidecar_restarts_with_saved_credentials_in_full_memory(
    environ: dict[str, str], faulty_sts: FaultySts, tmp_path: Path, fill: str
) -> None:
    with small_memory("size=64k,nr_inodes=16") as namespace:
        program = namespace.build_program("sidecar")
        with running_sidecar(environ, tmp_path, program=program) as sidecar:
            assert run_hook(sidecar, namespace) == 0
            sidecar.process.kill()
            sidecar.process.wait(10)
        namespace.run(fill)
        with running_sidecar(environ, tmp_path, program=program) as sidecar:
            assert run_hook(sidecar, namespace) == 0
            assert sidecar.request(CREDENTIALS_PATH).status == 200

    assert len(faulty_sts.requests) == 1


def test_memory_that_becomes_read_only_before_the_start_is_done_delays_it(
    environ: dict[str, str], tmp_path: Path, gate: Path
) -> None:
    with small_memory("size=64k") as namespace:
        program = namespace.build_command("-c", GATED.format(gate=str(gate)))
        with running_sidecar(environ, tmp_path, program=program) as sidecar:
            sidecar.wait_for_log('"refreshed"')
            namespace.run(memory.MAKE_READ_ONLY)
            gate.touch()
            sidecar.wait_for_log('"started-file-write-failed"')
            served = sidecar.request(CREDENTIALS_PATH).status
            namespace.run(memory.MAKE_WRITABLE)

            assert run_hook(sidecar, namespace) == 0
            assert served == 200
            assert sidecar.log.count('"started-file-write-failed"') == 1
            assert "Read-only file system" in sidecar.log


def test_run_directory_that_is_deleted_before_the_start_is_done_is_created_again(
    environ: dict[str, str], tmp_path: Path, gate: Path
) -> None:
    with small_memory("size=64k") as namespace:
        program = namespace.build_command("-c", GATED.format(gate=str(gate)))
        with running_sidecar(environ, tmp_path, program=program) as sidecar:
            sidecar.wait_for_log('"refreshed"')
            namespace.run(f"rm -r {RUN_DIRECTORY}")
            gate.touch()

            assert run_hook(sidecar, namespace) == 0
            assert namespace.find(RUN_DIRECTORY).stat().st_mode & 0o777 == 0o700


def test_state_is_saved_when_the_memory_can_be_written_again(
    environ: dict[str, str], tmp_path: Path, gate: Path
) -> None:
    metrics = {"PODROLE_METRICS": "true", "PODROLE_METRICS_PORT": str(find_free_port())}
    gate.touch()
    with small_memory("nr_inodes=3") as namespace:
        program = namespace.build_command("-c", GATED.format(gate=str(gate)))
        with running_sidecar(environ | metrics, tmp_path, program=program) as sidecar:
            assert run_hook(sidecar, namespace) == 0
            time.sleep(0.5)  # for a few tries
            before = read_status(sidecar)["state_file_error"], sidecar.read_metric("podrole_sidecar_state_saved")
            namespace.run("mount -o remount,nr_inodes=9 /dev/shm")
            wait_until("the state is saved", lambda: namespace.find(f"{RUN_DIRECTORY}/state.json").exists())
            wait_until("the metric shows it", lambda: sidecar.read_metric("podrole_sidecar_state_saved") == 1)
            after = read_status(sidecar)["state_file_error"]

    assert before == (NO_INODES.strip(), 0)
    assert after is None
    assert sidecar.log.count('"state-file-write-failed"') == 1
