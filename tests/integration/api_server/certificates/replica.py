"""One process that manages certificates, with its log and its state."""

import json
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from testing.repository import ROOT


class Replica:
    """One process of `cert_manager_process`."""

    def __init__(self, settings: dict[str, Any], log: Path) -> None:
        self.log_file = log
        self.known_port = 0
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.integration.api_server.certificates.cert_manager_process",
                    json.dumps(settings),
                ],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )

    @property
    def log(self) -> str:
        """Its log."""
        return self.log_file.read_text()

    @property
    def port(self) -> int:
        """Its port; waits for the first certificate."""
        if not self.known_port:
            assert self.process.stdout
            self.known_port = int(self.process.stdout.readline() or pytest.fail(self.log))
        return self.known_port

    def kill(self) -> None:
        """Can be called twice."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def served(self) -> str:
        """The certificate that a handshake gets."""
        return ssl.get_server_certificate(("127.0.0.1", self.port), timeout=10)

    def status(self) -> dict[str, Any]:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with urllib.request.urlopen(f"https://127.0.0.1:{self.port}/", timeout=10, context=context) as answer:
            status: dict[str, Any] = json.load(answer)
        return status
