"""Runs AWS's unmodified clients as an app's own processes, outside of any network namespace."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import contract
from testing.repository import ROOT

AWS_CLI = str(Path(sys.executable).with_name("aws"))
WHO_AM_I = str(ROOT / "testing/apps/whoami.py")
STORE = str(Path(__file__).with_name("store.py"))
"""Apps that use boto3."""

DEADLINE_SECONDS = 60


@dataclass(frozen=True)
class Said:
    """How an app ended and what it wrote."""

    code: int
    output: str
    complaint: str
    """The last line on standard error: what a user reads first."""


@dataclass(frozen=True)
class App:
    """An app in a pod: the environment that the injector gives it, an empty home, and nothing else."""

    home: Path
    environ: Mapping[str, str]

    def run(self, *argv: str) -> Said:
        """Run a program to its end."""
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.home), **self.environ}
        done = subprocess.run(
            argv, env=environ, cwd=self.home, check=False, capture_output=True, text=True, timeout=DEADLINE_SECONDS
        )
        lines = done.stderr.strip().splitlines()
        return Said(done.returncode, done.stdout.strip(), lines[-1] if lines else "")

    def python(self, script: str, *arguments: str) -> Said:
        """Run a Python script with the packages that boto3 needs."""
        return self.run(sys.executable, script, *arguments)

    def aws(self, *arguments: str) -> Said:
        """Run the AWS CLI."""
        return self.run(AWS_CLI, *arguments)


def build_imds_environ(port: int) -> dict[str, str]:
    """Lead an SDK to the sidecar as to EC2's metadata service."""
    return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{port}/"}


def build_ecs_environ(port: int) -> dict[str, str]:
    """Lead an SDK to the sidecar as to the endpoint of an ECS task; it asks there before it asks EC2's."""
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{port}{contract.CREDENTIALS_PATH}"}


def build_app(home: Path, service_url: str, credentials_environ: Mapping[str, str]) -> App:
    """Make an app that uses the services of AWS at this URL."""
    region = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
    return App(home, {"AWS_ENDPOINT_URL": service_url, **region, **credentials_environ})
