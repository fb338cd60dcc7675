"""An injector whose arbiter can start no worker, or whose worker can start no thread."""

import subprocess
import sys
from pathlib import Path

import pytest

from testing.fake_api_server import build_environ, writable_api_server
from testing.ports import find_free_ports
from testing.repository import ROOT

LIMITED = """
import os, runpy
from testing.refused_calls import refuse_processes
{limit}
runpy.run_module("injector", run_name="__main__", alter_sys=True)
"""
REMEDY = (
    "the limit of processes is reached or there is no memory left: "
    "raise the kubelet's podPidsLimit, or find what fills it in this pod or on this node"
)


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        pytest.param("refuse_processes()", "no worker can be started", id="worker"),
        pytest.param(
            "os.register_at_fork(after_in_child=refuse_processes)", "no thread can be started", id="thread-of-worker"
        ),
    ],
)
def test_injector_at_the_limit_of_processes_says_so_and_ends(tmp_path: Path, limit: str, sentence: str) -> None:
    argv = [sys.executable, "-c", LIMITED.format(limit=limit)]
    with writable_api_server() as api:
        environ = build_environ(tmp_path, api.port, find_free_ports(2))
        done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert f"podrole-injector: {sentence}: {REMEDY}\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2
