"""The command `podrole`, run as a person runs it."""

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
from testing.repository import ROOT
from tests.unit.injector.cases import ENVIRON


@dataclass(frozen=True)
class Said:
    """What a run left behind."""

    code: int
    output: str
    """Standard output."""

    complaint: str
    """Standard error."""


Run = Callable[..., Said]


@pytest.fixture(autouse=True)
def nobody_configured_anything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting and no kubeconfig of whoever runs the tests."""
    for name in os.environ:
        if name.startswith("PODROLE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings of the tests' webhook, in the environment."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    return ENVIRON


@pytest.fixture
def run() -> Run:
    """Run the command in this process."""

    def run_here(*arguments: str, stdin: str | bytes | None = None) -> Said:
        result = CliRunner().invoke(main, arguments, input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout_bytes.decode(), result.stderr)

    return run_here


@pytest.fixture
def run_process() -> Run:
    """Run the command as a process of its own."""

    def run_there(*arguments: str, stdin: bytes = b"", **environ: str) -> Said:
        argv = [sys.executable, "-m", "podrole", *arguments]
        root = os.fspath(ROOT)
        env: dict[str, Any] = {**os.environ, "PYTHONPATH": root, **environ}
        done = subprocess.run(argv, input=stdin, env=env, capture_output=True, timeout=120, check=False)
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run_there
