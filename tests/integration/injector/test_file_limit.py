"""An injector with few file descriptors, at its start and later."""

import re
import resource
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from testing.fake_api_server import WritableApiServer
from testing.ports import find_free_ports
from testing.repository import ROOT
from tests.integration.injector.injector_process import Injector, build_file_environ, run_injector, running
from tests.unit.injector.k8s.watched_cluster import wait_until

CLIENTS = 10
FEW = """
import resource, runpy
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
runpy.run_module("injector", run_name="__main__", alter_sys=True)
"""


def read_problems(injector: Injector, reason: str) -> float:
    pattern = rf'^podrole_server_problems_total{{reason="{reason}"}} (\S+)'
    found = re.search(pattern, injector.get("/metrics")[1], re.MULTILINE)
    return float(found[1]) if found else 0


def test_injector_with_too_few_descriptors_says_so_and_ends(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", FEW.format(soft=64, hard=64)]
    environ = build_file_environ(tmp_path)
    done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert done.stderr == (
        "podrole-injector: the limit of open files is 64, at least 128 are needed: "
        "raise RLIMIT_NOFILE in the settings of the node's container runtime\n"
    )


def test_injector_raises_its_limit_of_descriptors(tmp_path: Path) -> None:
    program = ["-c", FEW.format(soft=64, hard=1500)]
    with run_injector(tmp_path, build_file_environ(tmp_path), program) as injector:
        limit = injector.wait_for_worker().rlimit(resource.RLIMIT_NOFILE)

    assert limit == (1500, 1500)


def test_injector_without_descriptors_waits_without_a_busy_loop_and_recovers(tmp_path: Path) -> None:
    with run_injector(tmp_path, build_file_environ(tmp_path)) as injector, ExitStack() as stack:
        worker = injector.wait_for_worker()
        before = worker.rlimit(resource.RLIMIT_NOFILE)
        for _ in range(CLIENTS):
            stack.enter_context(socket.create_connection(("127.0.0.1", injector.port), timeout=5))
        time.sleep(0.2)  # until they are accepted
        worker.rlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        used = sum(worker.cpu_times()[:2])
        stack.enter_context(socket.create_connection(("127.0.0.1", injector.port), timeout=5))
        time.sleep(1.5)
        used = sum(worker.cpu_times()[:2]) - used
        worker.rlimit(resource.RLIMIT_NOFILE, before)

        wait_until("it answers", lambda: injector.get("/healthz")[0] == 200)
        assert used < 0.3
        assert read_problems(injector, "no-file-descriptors") in {1, 2, 3}, "one try a second"
        assert "no-file-descriptors" in injector.log


def test_client_without_a_certificate_to_serve_is_counted_with_its_reason(tmp_path: Path) -> None:
    api = WritableApiServer(port=find_free_ports(1))
    with running(tmp_path, api.port) as injector:
        wait_until("it answers", lambda: injector.get("/healthz")[0])
        with pytest.raises(OSError, match=r"(?i)reset|eof|closed"):
            injector.shake_hands()

        assert read_problems(injector, "no-certificate") == 1
        assert read_problems(injector, "no-file-descriptors") == 0
