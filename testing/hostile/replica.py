"""A replica of the injector in a cgroup with the memory limit of its container."""

import http.client
import re
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from kubernetes.utils.quantity import parse_quantity

from testing.cases import ENVIRON
from testing.memory_cgroup import MemoryCgroup, memory_cgroup
from testing.ports import find_free_ports
from testing.repository import ROOT
from testing.services.programs import Program, running

ADDRESS = "127.0.0.1"
DEPLOYMENT = ROOT / "kustomize/base/deployment.yaml"
READY = r"Listening at: https://[^\s\"]+:(\d+)"
POLL_SECONDS = 0.05


def read_memory_limit() -> int:
    """The memory limit of the injector's container in the manifests, in bytes."""
    [container] = yaml.safe_load(DEPLOYMENT.read_text())["spec"]["template"]["spec"]["containers"]
    return int(parse_quantity(container["resources"]["limits"]["memory"]))  # type: ignore[no-untyped-call] # not annotated


@dataclass
class Replica:
    """Arbiter and worker. It can be stopped and started again at the same ports, in the same cgroup."""

    directory: Path
    settings: Mapping[str, str]
    cgroup: MemoryCgroup
    first_port: int
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def webhook_port(self) -> int:
        return self.first_port

    @property
    def health_port(self) -> int:
        return self.first_port + 1

    @property
    def log(self) -> str:
        """What all of its starts have logged."""
        logs = sorted(self.directory.glob("*/injector.log"), key=lambda path: int(path.parent.name))
        return "".join(path.read_text(errors="replace") for path in logs)

    def start(self) -> None:
        """Start it; return when it listens, which is before it is ready."""
        environ = {
            **ENVIRON,
            **self.settings,
            "PODROLE_WEBHOOK_HOST": ADDRESS,
            "PODROLE_WEBHOOK_PORT": str(self.webhook_port),
            "PODROLE_HEALTH_PORT": str(self.health_port),
        }
        variables = [f"{key}={value}" for key, value in environ.items()]
        argv = self.cgroup.enter(("env", "-i", "-C", str(ROOT), *variables, sys.executable, "-m", "injector"))
        program = Program("injector", argv, READY, "its log says what is wrong", signal.SIGQUIT)
        directory = self.directory / str(len(list(self.directory.iterdir())))
        directory.mkdir()
        self.stack.enter_context(running(program, directory))

    def stop(self) -> None:
        """Stop it at once: with SIGTERM it would wait for the API server's idle connections."""
        self.stack.close()

    def await_ready(self, within_seconds: float) -> float:
        """Wait until it is ready; return the seconds that it took."""
        began = time.monotonic()
        while not self.is_ready():
            assert time.monotonic() < began + within_seconds, (
                f"not ready within {within_seconds} s, {self.cgroup.oom_kills} OOM kills:\n{self.log[-3000:]}"
            )
            time.sleep(POLL_SECONDS)
        return time.monotonic() - began

    def is_ready(self) -> bool:
        return self._get("/readyz")[0] == http.HTTPStatus.OK

    def read_metrics(self) -> Mapping[str, float]:
        """The values of the metrics without labels."""
        return {name: float(value) for name, value in self.read_series().items() if "{" not in name}

    def read_series(self) -> Mapping[str, str]:
        """The values of all series, by name and labels."""
        status, text = self._get("/metrics")
        assert status == http.HTTPStatus.OK, "the health port does not answer"
        return dict(re.findall(r"^(\w+(?:\{.*\})?) (\S+)$", text, re.MULTILINE))

    def _get(self, path: str) -> tuple[int, str]:
        with closing(http.client.HTTPConnection(ADDRESS, self.health_port, timeout=10)) as connection:
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                return response.status, response.read().decode()
            except (OSError, http.client.HTTPException):
                return 0, ""


@contextmanager
def run_replica(directory: Path, settings: Mapping[str, str], first_port: int) -> Iterator[Replica]:
    """Run a replica until the block ends."""
    with memory_cgroup(read_memory_limit()) as cgroup:
        replica = Replica(directory, settings, cgroup, first_port)
        replica.start()
        try:
            yield replica
        finally:
            replica.stop()


def find_ports() -> int:
    """Two free ports; return the first."""
    return find_free_ports(2)
