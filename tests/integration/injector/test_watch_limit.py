"""An injector whose worker cannot watch its sockets."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from testing.fake_api_server import build_environ, writable_api_server
from testing.ports import find_free_ports
from testing.repository import ROOT

LIMITED = """
import os, runpy
from testing.refused_calls import refuse_watches
os.register_at_fork(after_in_child=lambda: refuse_watches({error}))
runpy.run_module("injector", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.ENOMEM], ids=["watches-of-the-user", "memory"])
def test_injector_whose_worker_can_watch_no_socket_says_so_and_ends(tmp_path: Path, error: int) -> None:
    argv = [sys.executable, "-c", LIMITED.format(error=error)]
    with writable_api_server() as api:
        environ = build_environ(tmp_path, api.port, find_free_ports(2))
        done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert done.stderr.count("podrole-injector: the event loop cannot start: ") == 1
    assert "Traceback" not in done.stderr
    assert done.returncode == 2
