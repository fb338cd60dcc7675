"""Each process's share of a start must be its own: what a child used is no part of its parent's."""

import subprocess
import sys

import pytest

from bench.cpu import end_and_read_children, read_cpu, wait_for_end
from bench.measure import list_children

USE = """
import time
def use(seconds):
    while time.process_time() < seconds:
        pass
"""
CHILD = f"{USE}\nuse(0.3)"
PARENT = f"""{USE}
import subprocess, sys
subprocess.run([sys.executable, "-I", "-S", "-c", sys.argv[1]], check=True)
use(0.1)
print(flush=True)
sys.stdin.read()
"""
TOLERANCE_SECONDS = 0.1
"""The interpreter's start, and the work until the process is ended."""


def start(program: str, *arguments: str) -> "subprocess.Popen[bytes]":
    argv = [sys.executable, "-I", "-S", "-c", program, *arguments]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_parent_and_ended_child_are_measured_apart() -> None:
    with start(PARENT, CHILD) as parent:
        assert parent.stdout
        parent.stdout.readline()
        own = read_cpu(parent.pid)
        children = end_and_read_children(parent)

    assert 0.1 <= own < 0.1 + TOLERANCE_SECONDS
    assert 0.3 <= children < 0.3 + TOLERANCE_SECONDS


def test_process_that_has_ended_is_measured_whole() -> None:
    with start(PARENT, CHILD) as parent:
        assert parent.stdin
        parent.stdin.close()
        seconds = wait_for_end(parent)

    assert 0.4 <= seconds < 0.4 + 2 * TOLERANCE_SECONDS


def test_running_child_is_listed() -> None:
    with start(PARENT, "import time; time.sleep(60)") as parent:
        while not (children := list_children(parent.pid)):
            pass
        parent.kill()

    assert len(children) == 1
    subprocess.run(["kill", str(children[0])], check=True)


def test_process_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(OSError, match="process 4194304"):
        read_cpu(4_194_304)  # above the highest pid: https://man7.org/linux/man-pages/man5/proc_sys_kernel.5.html
