"""An injector whose /dev/shm does not exist, or is full: the worker has a file there as its sign of life."""

import subprocess
import sys
from pathlib import Path

import pytest

from testing import small_memory as memory
from testing.repository import ROOT
from testing.small_memory import small_memory
from tests.integration.injector.injector_process import build_file_environ, run_injector


@pytest.mark.parametrize(
    ("options", "command", "reason"),
    [
        pytest.param(None, "", "it does not exist", id="missing"),
        pytest.param("nr_inodes=1", "", "it has no inodes left", id="no-inodes"),
        pytest.param("size=4k", memory.MAKE_READ_ONLY, "Read-only file system", id="read-only"),
        pytest.param("size=4k", "chmod 555 .", "Permission denied", id="no-permission"),
    ],
)
def test_injector_that_cannot_create_its_file_in_memory_ends_with_a_sentence(
    tmp_path: Path, options: str | None, command: str, reason: str
) -> None:
    environ = build_file_environ(tmp_path)
    with small_memory(options) as namespace:
        if command:
            namespace.run(command)
        argv = [sys.executable, *namespace.build_program("injector", "setpriv", "--bounding-set=-dac_override")]
        done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert done.stderr == (
        f"podrole-injector: no file can be created in /dev/shm: {reason}. The worker needs one as its sign of life: "
        "mount an emptyDir of medium Memory there\n"
    )


@pytest.mark.parametrize("fill", [memory.FILL, memory.USE_INODES], ids=["full", "no-inodes"])
def test_worker_is_replaced_while_the_memory_is_full(tmp_path: Path, fill: str) -> None:
    with (
        small_memory("size=64k,nr_inodes=16") as namespace,
        run_injector(tmp_path, build_file_environ(tmp_path), namespace.build_program("injector")) as injector,
    ):
        worker = injector.wait_for_worker()
        namespace.run(fill)

        worker.kill()

        injector.wait_for_worker(other_than=worker.pid)
        assert "Traceback" not in injector.log
