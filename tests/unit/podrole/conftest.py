"""Runs the command `podrole` as its users do."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from podrole.__main__ import main
from testing.cases import ENVIRON
from testing.repository import ROOT


@dataclass(frozen=True)
class Completed:
    """The result of a run."""

    code: int
    stdout: str
    stderr: str


Run = Callable[..., Completed]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the settings and the kubeconfig of the user who runs the tests."""
    for name in os.environ:
        if name.startswith("PODROLE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Set the settings of the tests' webhook in the environment."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    return ENVIRON


@pytest.fixture
def run() -> Run:
    """Run the command in this process."""

    def run_here(*arguments: str, stdin: str | bytes | None = None) -> Completed:
        result = CliRunner().invoke(main, arguments, input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Completed(result.exit_code, result.stdout_bytes.decode(), result.stderr)

    return run_here


@pytest.fixture
def run_process() -> Run:
    """Run the command in a new process."""

    def run_there(*arguments: str, stdin: bytes = b"", **environ: str) -> Completed:
        argv = [sys.executable, "-m", "podrole", *arguments]
        root = os.fspath(ROOT)
        env: dict[str, Any] = {**os.environ, "PYTHONPATH": root, **environ}
        done = subprocess.run(argv, input=stdin, env=env, capture_output=True, timeout=120, check=False)
        return Completed(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run_there
