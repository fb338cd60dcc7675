"""TCP connections that stay open while rules are loaded."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from testing.pods import PodNetwork

SCRIPT = Path(__file__).with_name("open_connections.py")


class HeldConnections:
    """A process in a network that keeps TCP connections open and exchanges data on each all the time."""

    def __init__(self, network: PodNetwork, targets: Sequence[str]) -> None:
        self._process = network.popen([sys.executable, str(SCRIPT), *targets], stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(timeout=10)
        if self._process.stdout:
            self._process.stdout.close()

    def status(self) -> list[str]:
        """Return each connection's response, or the error that ended it, in a round that starts after this call."""
        called_at = time.monotonic()
        assert self._process.stdout
        for line in self._process.stdout:
            started_at, *responses = line.decode().split()
            if float(started_at) > called_at:
                return responses
        raise AssertionError(f"the process ended with {self._process.wait(timeout=10)}")
