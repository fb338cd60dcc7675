"""CPU seconds (user and system) of a start, from exec to the first response, split by process.

The kernel's scheduler counts nanoseconds; /proc/PID/stat has only ticks of 10 ms.
"""

import ctypes
import os
import signal
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import contract
from bench.measure import list_children
from bench.startup import BASELINE_GET, STARTS, THE_BASELINE, running, running_new_baseline, wait_for_response
from testing.repository import ROOT
from testing.services.certificates import write_certificates
from testing.services.faulty_sts import FaultySts, faulty_sts

HOOK = ("-I", "-S", str(ROOT / "sidecar" / "post_start.py"))
REAP_SECONDS = 10

_clock_getcpuclockid = ctypes.CDLL(None).clock_getcpuclockid


class StartCpu(NamedTuple):
    """Seconds of one start, or the medians of several."""

    server: float
    sts_child: float = 0
    hook: float = 0
    total: float = 0

    def __str__(self) -> str:
        parts = f"server {self.server:.3f}, STS child {self.sts_child:.3f}, postStart hook {self.hook:.3f}"
        return f"{self.total:.3f} s" + (f": {parts}" if self.sts_child else "")


def measure_cpu(directory: Path) -> dict[str, StartCpu]:
    """Start the baseline and the sidecar in turns, so that a disturbance affects both; return the medians."""
    with faulty_sts() as plain, faulty_tls_sts(directory) as (tls, trusted):
        kinds: dict[str, Callable[[], StartCpu]] = {
            THE_BASELINE: measure_baseline_start,
            "STS over HTTP": lambda: measure_sidecar_start(plain),
            "STS over TLS, private CA": lambda: measure_sidecar_start(tls, trusted),
        }
        starts: dict[str, list[StartCpu]] = {name: [] for name in kinds}
        for number in range(STARTS + 1):
            for name, measure in kinds.items():
                start = measure()
                if number:  # the first start of each may compile bytecode
                    starts[name].append(start)
    return {name: StartCpu(*map(statistics.median, zip(*each, strict=True))) for name, each in starts.items()}


@contextmanager
def faulty_tls_sts(directory: Path) -> Iterator[tuple[FaultySts, dict[str, str]]]:
    """Run an STS over TLS; yield it and the variable with its private CA."""
    files = write_certificates(directory, ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    with faulty_sts(context) as sts:
        yield sts, {contract.ENV_STS_CA_PEM: files.ca.read_text()}


def measure_sidecar_start(sts: FaultySts, changes: Mapping[str, str] | None = None) -> StartCpu:
    """Start it as the kubelet does: the hook runs beside it, and the first request comes after the hook."""
    with running(sts, changes=changes) as sidecar:
        with subprocess.Popen([sys.executable, *HOOK], env=sidecar.environ) as hook:
            hook_seconds = wait_for_end(hook)
        if hook.returncode:
            raise SystemExit("the sidecar did not start")
        wait_for_response(sidecar.port)
        server = read_cpu(sidecar.process.pid)
        sts_child = end_and_read_children(sidecar.process)
    return StartCpu(server, sts_child, hook_seconds, server + sts_child + hook_seconds)


def measure_baseline_start() -> StartCpu:
    """Start the baseline; the sum of its arbiter and its worker."""
    with running_new_baseline() as (process, port):
        wait_for_response(port, BASELINE_GET)
        seconds = sum(map(read_cpu, (process.pid, *list_children(process.pid))))
    return StartCpu(seconds, total=seconds)


def read_cpu(pid: int) -> float:
    """The seconds that a process has used, without its children.

    https://man7.org/linux/man-pages/man3/clock_getcpuclockid.3.html
    """
    clock = ctypes.c_int()
    if error := _clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise OSError(error, f"process {pid}")
    return time.clock_gettime(clock.value)


def end_and_read_children(process: "subprocess.Popen[bytes]") -> float:
    """Kill a process whose children have ended; return the seconds that they used."""
    deadline = time.monotonic() + REAP_SECONDS
    while list_children(process.pid):
        if time.monotonic() > deadline:
            raise SystemExit("the child that calls STS did not end")
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    own = read_cpu(process.pid)
    return wait_for_end(process) - own


def wait_for_end(process: "subprocess.Popen[bytes]") -> float:
    """Return the seconds that a process and its children have used."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime
