"""One container, run by runc inside the node's namespaces: start, hook, signals, output, exit code."""

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

# --rootless=true: no cgroup is fine (the node shows them read-only, so that none is left behind)
RUNC = ("runc", "--rootless=true", "--root", "/run/runc")
POLL_SECONDS = 0.002


class Container:
    """A container of a pod: each `start` is a new run of it with a fresh root file system."""

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
        """The name that runc knows the current run by."""
        return f"{self._directory.parent.name}-{self.name}-{self.attempt}"

    @property
    def exit_code(self) -> int | None:
        """The exit code, 128 + the signal's number after a signal; None while it runs or before it started."""
        return self._process.poll() if self._process else None

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def output(self) -> str:
        """What the current run wrote so far, stdout and stderr in their order."""
        log = self._run_directory / "output"
        return log.read_text(errors="replace") if log.exists() else ""

    def start(self, timeout_seconds: float = 30) -> None:
        """Start it anew and return when its process runs or has already ended."""
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
        """Run a command in the container, with its user, environment and capabilities, as `kubectl exec` does."""
        command = [*RUNC, "exec", self.identifier, *argv]
        return self._node.run(command, check=False, timeout_seconds=timeout_seconds)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the container's first process; nothing happens when it has already ended."""
        self._node.run([*RUNC, "kill", self.identifier, str(int(number))], check=False)

    def kill(self) -> int:
        """SIGKILL, as the kernel's out-of-memory killer sends it; the exit code."""
        if self.is_running:
            self.signal(signal.SIGKILL)
        return self.wait(timeout_seconds=10)

    def terminate(self, grace_seconds: float = 30) -> int:
        """SIGTERM, and SIGKILL after the grace period, as the kubelet ends a container; the exit code."""
        if self.is_running:
            self.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(timeout_seconds=grace_seconds)
        return self.kill()

    def wait(self, timeout_seconds: float) -> int:
        """Wait for its end; the exit code."""
        if self._process is None:
            raise PodError(f"container {self.name} was not started")
        return self._process.wait(timeout=timeout_seconds)

    @property
    def _run_directory(self) -> Path:
        return self._directory / str(self.attempt)
