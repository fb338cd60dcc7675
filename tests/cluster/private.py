"""A private API server with its controllers, for the length of a test run, by the scripts of a cluster folder.

Its data and ports are its own, so a cluster that somebody runs on the same machine is not disturbed; the programs,
which take minutes to build, are shared with it.
"""

import fcntl
import os
import random
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

BUILD_WITHIN_SECONDS = 60 * 60
STOP_WITHIN_SECONDS = 120
LOG_TAIL_LINES = 20
PORTS = range(20000, 30000)
"""Below those that the kernel gives to outgoing connections."""

API_PORTS, ETCD_PORTS = 3, 2
"""The API server, the controller manager and the scheduler; etcd's clients and peers."""


class ClusterStartError(Exception):
    """The cluster did not come up. The message has the end of the log."""


def find_programs(environ: Mapping[str, str]) -> Path:
    """The folder that keeps the built programs."""
    return Path(environ.get("TESTCLUSTER") or Path(tempfile.gettempdir()) / "testcluster")


@contextmanager
def private_cluster(scripts: Path, programs: Path, data: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    """Run a cluster without nodes until the block ends; give the kubeconfig of its administrator."""
    _share(programs, data, "bin", "src")
    api_port, etcd_port = find_free_ports(API_PORTS), find_free_ports(ETCD_PORTS)
    environ = {**environ, "TESTCLUSTER": str(data), "PORT": str(api_port), "ETCD_PORT": str(etcd_port)}
    try:
        with (programs / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two that build at once would overwrite each other's programs
            _run(scripts / "up.sh", "control", data / "up.log", environ, BUILD_WITHIN_SECONDS)
        yield data / "data" / "kc" / "admin"
    finally:
        _run(scripts / "down.sh", "--wipe", data / "down.log", environ, STOP_WITHIN_SECONDS)


def find_free_ports(count: int) -> int:
    """The first of so many free ports in a row on loopback."""
    while True:
        first = random.choice(PORTS)
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first


def _share(programs: Path, data: Path, *folders: str) -> None:
    for folder in folders:
        (programs / folder).mkdir(parents=True, exist_ok=True)
        (data / folder).symlink_to(programs / folder)


def _run(script: Path, argument: str, log: Path, environ: Mapping[str, str], within_seconds: float) -> None:
    argv = [os.fspath(script), argument]
    with log.open("w") as output:
        done = subprocess.run(
            argv,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            timeout=within_seconds,
            check=False,
        )
    if done.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
        raise ClusterStartError(f"{script} {argument} ended with code {done.returncode}. The end of {log}:\n{tail}")
