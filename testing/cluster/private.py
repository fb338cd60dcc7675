"""Runs a private API server with its controllers, for one test run, with the scripts of a cluster folder.

Its data and ports are its own, so it does not disturb another cluster on the same machine. It shares the programs with
that one, as they take minutes to build.
"""

import base64
import fcntl
import json
import os
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from testing.ports import find_free_ports
from testing.repository import ROOT

SCRIPTS = ROOT.parent / "shared" / "cluster"
"""What starts the programs: beside the repository, not in it."""

BUILD_WITHIN_SECONDS = 60 * 60
STOP_WITHIN_SECONDS = 120
LOG_TAIL_LINES = 20
API_PORTS, ETCD_PORTS = 3, 2
"""The API server, the controller manager and the scheduler; etcd's clients and peers."""


class ClusterStartError(Exception):
    """The cluster did not start; the message has the end of its log."""


DEFAULT_VERSION = "v1.34.4"
NEWEST_VERSION = "v1.37.2"
PROGRAMS = {DEFAULT_VERSION: "testcluster", NEWEST_VERSION: "testcluster37"}
"""Kubernetes version: the folder of its programs in the directory for temporary files."""


def find_programs(environ: Mapping[str, str], version: str | None = None) -> Path:
    """The folder of the built programs of a version; of the environment's version if none is given."""
    configured = environ.get("K8S") or DEFAULT_VERSION
    if version in (None, configured) and environ.get("TESTCLUSTER"):
        return Path(environ["TESTCLUSTER"])
    return Path(tempfile.gettempdir()) / PROGRAMS[version or configured]


@dataclass(frozen=True)
class PrivateCluster:
    """A cluster without nodes. Its API server can be stopped and started again; etcd keeps the objects."""

    scripts: Path
    programs: Path
    data: Path
    environ: Mapping[str, str]
    level: str

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.data / "data" / "kc" / "admin"

    def start(self) -> None:
        """Start the programs that are not running."""
        with (self.programs / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two builds at once would overwrite each other's programs
            _run(self.scripts / "up.sh", self.level, self.data / "up.log", self.environ, BUILD_WITHIN_SECONDS)

    def stop_api_server(self) -> None:
        """Stop the API server, and wait for its end. A second signal makes it close open watches at once."""
        pid_file = self.data / "data" / "run" / "kube-apiserver.pid"
        process = psutil.Process(int(pid_file.read_text()))
        for _ in range(2):
            process.terminate()
            gone, _ = psutil.wait_procs([process], timeout=1)
            if gone:
                break
        process.wait(STOP_WITHIN_SECONDS)
        pid_file.unlink()

    def compact_etcd(self) -> None:
        """Compact etcd: it drops every event up to now."""
        written = self._call_etcd("put", {"key": base64.b64encode(b"/podrole/test").decode()})
        self._call_etcd("compaction", {"revision": written["header"]["revision"], "physical": True})

    def _call_etcd(self, operation: str, request: Mapping[str, object]) -> dict[str, Any]:
        """https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/."""
        url = f"http://127.0.0.1:{self.environ['ETCD_PORT']}/v3/kv/{operation}"
        with urllib.request.urlopen(url, json.dumps(request).encode(), timeout=STOP_WITHIN_SECONDS) as response:
            answer: dict[str, Any] = json.load(response)
            return answer

    def stop(self) -> None:
        """Stop all programs, and delete their data."""
        _run(self.scripts / "down.sh", "--wipe", self.data / "down.log", self.environ, STOP_WITHIN_SECONDS)


@contextmanager
def private_cluster(
    scripts: Path, programs: Path, data: Path, environ: Mapping[str, str], level: str = "control"
) -> Iterator[PrivateCluster]:
    """Run a cluster without nodes until the block ends; with the level `api`, without controllers and scheduler."""
    _share(programs, data, "bin", "src")
    api_port, etcd_port = find_free_ports(API_PORTS), find_free_ports(ETCD_PORTS)
    environ = {**environ, "TESTCLUSTER": str(data), "PORT": str(api_port), "ETCD_PORT": str(etcd_port)}
    cluster = PrivateCluster(scripts, programs, data, environ, level)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


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
