"""A container that runc runs in the node's namespaces: start, exec, signals, output, exit code."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from testing.pods.bundles import write_bundle
from testing.pods.errors import PodError
from testing.pods.images import Image
from testing.pods.namespaces import NamespaceProcess, Namespaces

# --rootless=true: run without a cgroup. The node mounts cgroups read-only so that none is left behind.
RUNC = ("runc", "--rootless=true", "--root", "/run/runc")
POLL_SECONDS = 0.002


class Container:
    """A container of a pod. Each `start` is a new run with a new root file system."""

    def __init__(self, node: Namespaces, directory: Path, config: Mapping[str, Any], image: Image) -> None:
        self.name = directory.name
        self.attempt = 0
        self._node = node
        self._directory = directory
        self._config = config
        self._image = image
        self._process: NamespaceProcess | None = None

    @property
    def identifier(self) -> str:
        """The name of the current run in runc."""
        return f"{self._directory.parent.name}-{self.name}-{self.attempt}"

    @property
    def exit_code(self) -> int | None:
        """The exit code, or 128 + signal number. None while it runs and before it starts."""
        return self._process.poll() if self._process else None

    @property
    def is_running(self) -> bool:
        """Whether it has started and not yet ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def output(self) -> str:
        """The output of the current run so far, stdout and stderr."""
        log = self._run_directory / "output"
        return log.read_text(errors="replace") if log.exists() else ""

    def start(self, timeout_seconds: float = 30) -> None:
        """Start it and return when its process is running or has already ended."""
        self.attempt += 1
        write_bundle(self._run_directory, self._config, self._image)
        pid_file = self._run_directory / "pid"
        command = [*RUNC, "run", "--bundle", str(self._run_directory), "--pid-file", str(pid_file), self.identifier]
        with (self._run_directory / "output").open("wb") as log:
            self._process = self._node.popen(command, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + timeout_seconds
        while not pid_file.exists() and self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        if not pid_file.exists():
            self._process.kill()
            self._process.wait()
            raise PodError(f"container {self.name} did not start: {self.output.strip()}")

    def exec(self, argv: Sequence[str], timeout_seconds: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a command in the container as `kubectl exec` does, with its user, environment and capabilities."""
        command = [*RUNC, "exec", self.identifier, *argv]
        return self._node.run(command, check=False, timeout_seconds=timeout_seconds)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the container's first process, if it is still running."""
        self._node.run([*RUNC, "kill", self.identifier, str(int(number))], check=False)

    def kill(self) -> int:
        """Send SIGKILL, as the OOM killer does; return the exit code."""
        if self.is_running:
            self.signal(signal.SIGKILL)
        return self.wait(timeout_seconds=10)

    def terminate(self, grace_seconds: float = 30) -> int:
        """Send SIGTERM, and SIGKILL after the grace period, as the kubelet does; return the exit code."""
        if self.is_running:
            self.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(timeout_seconds=grace_seconds)
        return self.kill()

    def wait(self, timeout_seconds: float) -> int:
        """Wait until it ends; return the exit code."""
        if self._process is None:
            raise PodError(f"container {self.name} was not started")
        return self._process.wait(timeout=timeout_seconds)

    @property
    def _run_directory(self) -> Path:
        return self._directory / str(self.attempt)
