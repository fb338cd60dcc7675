"""A sidecar that can start no further thread or process."""

import json
import subprocess
import sys

from sidecar.sts.process import build_environment
from testing.repository import ROOT

LIMITED = """
import runpy
from testing.refused_calls import refuse_processes
refuse_processes()
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""


def test_sidecar_that_can_start_no_thread_says_so_and_ends(environ: dict[str, str]) -> None:
    argv = [sys.executable, "-c", LIMITED.format(module="sidecar")]
    done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert done.stderr == (
        "podrole-sidecar: no thread can be started: the limit of processes is reached or there is no memory left: "
        "raise the kubelet's podPidsLimit, or find what fills it in this pod or on this node\n"
    )
    assert done.returncode == 1


def test_sts_child_that_can_start_no_thread_returns_a_transient_failure(environ: dict[str, str]) -> None:
    argv = [sys.executable, "-c", LIMITED.format(module="sidecar.sts"), "1"]
    child = build_environment(environ)
    done = subprocess.run(argv, cwd=ROOT, env=child, capture_output=True, text=True, timeout=60, check=False)
    outcome = json.loads(done.stdout)

    assert (outcome["code"], outcome["is_permanent"]) == ("SpawnFailed", False)
    assert "can't start new thread" in outcome["message"]
    assert done.stderr == ""
