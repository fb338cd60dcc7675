"""Runs unmodified AWS clients as local processes, outside of network namespaces."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testing.repository import ROOT
from testing.sidecars import CREDENTIALS_PATH

AWS_CLI = str(Path(sys.executable).with_name("aws"))
WHO_AM_I = str(ROOT / "testing/apps/whoami.py")
STORE = str(Path(__file__).with_name("store.py"))
"""Apps that use boto3."""

DEADLINE_SECONDS = 60


@dataclass(frozen=True)
class ProcessResult:
    """The exit code and output of an app."""

    code: int
    output: str
    error: str
    """The last line on standard error."""


@dataclass(frozen=True)
class LocalApp:
    """An app with only the environment that the injector gives it, and an empty home."""

    home: Path
    environ: Mapping[str, str]

    def run(self, *argv: str) -> ProcessResult:
        """Run a program until it exits."""
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.home), **self.environ}
        done = subprocess.run(
            argv, env=environ, cwd=self.home, check=False, capture_output=True, text=True, timeout=DEADLINE_SECONDS
        )
        lines = done.stderr.strip().splitlines()
        return ProcessResult(done.returncode, done.stdout.strip(), lines[-1] if lines else "")

    def python(self, script: str, *arguments: str) -> ProcessResult:
        """Run a Python script that can import boto3."""
        return self.run(sys.executable, script, *arguments)

    def aws(self, *arguments: str) -> ProcessResult:
        """Run the AWS CLI."""
        return self.run(AWS_CLI, *arguments)


def build_imds_environ(port: int) -> dict[str, str]:
    """Point an SDK to the sidecar as EC2's metadata service."""
    return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{port}/"}


def build_ecs_environ(port: int) -> dict[str, str]:
    """Point an SDK to the sidecar as the container endpoint, which it tries before EC2's metadata service."""
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{port}{CREDENTIALS_PATH}"}


def build_app(home: Path, service_url: str, credentials_environ: Mapping[str, str]) -> LocalApp:
    """Build an app that uses AWS services at this URL."""
    region = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
    return LocalApp(home, {"AWS_ENDPOINT_URL": service_url, **region, **credentials_environ})
