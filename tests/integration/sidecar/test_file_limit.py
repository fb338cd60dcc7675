"""A sidecar with few file descriptors, at its start and later."""

import errno
import json
import resource
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from testing.repository import ROOT
from testing.sidecars import CREDENTIALS_PATH, running_sidecar

CLIENTS = 10
FEW = """
import resource, runpy
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
runpy.run_module("sidecar", run_name="__main__", alter_sys=True)
"""
REFUSED = """
import runpy
from testing.refused_calls import refuse_clients
refuse_clients({error})
runpy.run_module("sidecar", run_name="__main__", alter_sys=True)
"""


def count_open(connections: list[socket.socket]) -> int:
    """How many the server has not closed."""
    count = 0
    for connection in connections:
        connection.settimeout(0)
        try:
            connection.recv(1)
        except BlockingIOError:
            count += 1
        except OSError:
            pass
    return count


def test_sidecar_with_too_few_descriptors_says_so_and_ends(metrics_environ: dict[str, str]) -> None:
    argv = [sys.executable, "-c", FEW.format(soft=64, hard=64)]
    done = subprocess.run(argv, cwd=ROOT, env=metrics_environ, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert done.stderr == (
        "podrole-sidecar: the limit of open files is 64, at least 128 are needed: "
        "raise RLIMIT_NOFILE in the settings of the node's container runtime\n"
    )


def test_sidecar_raises_its_limit_of_descriptors(metrics_environ: dict[str, str], tmp_path: Path) -> None:
    program = ["-c", FEW.format(soft=64, hard=1500)]
    with running_sidecar(metrics_environ, tmp_path, program=program) as sidecar:
        assert sidecar.wait_until_started() == 0
        limit = psutil.Process(sidecar.process.pid).rlimit(resource.RLIMIT_NOFILE)

    assert limit == (1500, 1500)


def test_sidecar_without_descriptors_keeps_its_clients_and_recovers(
    metrics_environ: dict[str, str], tmp_path: Path
) -> None:
    with running_sidecar(metrics_environ, tmp_path) as sidecar, ExitStack() as stack:
        assert sidecar.wait_until_started() == 0
        process = psutil.Process(sidecar.process.pid)
        before = process.rlimit(resource.RLIMIT_NOFILE)
        address = ("127.0.0.1", sidecar.port)
        idle = [stack.enter_context(socket.create_connection(address, timeout=5)) for _ in range(CLIENTS)]
        time.sleep(0.2)  # until they are accepted
        process.rlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        used = sum(process.cpu_times()[:2])
        waiting = stack.enter_context(socket.create_connection(address, timeout=5))
        waiting.sendall(f"GET {CREDENTIALS_PATH} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
        time.sleep(1.5)
        used = sum(process.cpu_times()[:2]) - used
        kept = count_open(idle)
        process.rlimit(resource.RLIMIT_NOFILE, before)
        received = waiting.recv(65536)

        assert kept >= CLIENTS - 3, "one is closed for each try, once a second"
        assert used < 0.3
        assert received.startswith(b"HTTP/1.0 200 OK\r\n")
        assert '"reason": "no-file-descriptors"' in sidecar.log
        assert sidecar.read_metric('podrole_sidecar_server_problems_total{reason="no-file-descriptors"}')


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(errno.ENFILE, "no-file-descriptors-on-node", id="ENFILE"),
        pytest.param(errno.ENOBUFS, "no-memory", id="ENOBUFS"),
        pytest.param(errno.ENOMEM, "no-memory", id="ENOMEM"),
    ],
)
def test_sidecar_that_can_accept_nobody_says_why_and_does_not_spin(
    metrics_environ: dict[str, str], tmp_path: Path, error: int, reason: str
) -> None:
    with running_sidecar(metrics_environ, tmp_path, program=["-c", REFUSED.format(error=error)]) as sidecar:
        assert sidecar.wait_until_started() == 0
        process = psutil.Process(sidecar.process.pid)
        with socket.create_connection(("127.0.0.1", sidecar.port), timeout=5):
            sidecar.wait_for_log('"server-problem"')
            used = sum(process.cpu_times()[:2])
            time.sleep(1.5)
            used = sum(process.cpu_times()[:2]) - used
        lines = [json.loads(line) for line in sidecar.log.splitlines()]

    problems = [line["reason"] for line in lines if line["event"] == "server-problem"]
    assert problems == [reason]
    assert used < 0.3
