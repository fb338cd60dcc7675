"""CI skips nothing that the repository does not name."""

import subprocess
import sys
from pathlib import Path

from testing.repository import ROOT
from tests.skips import load_known

SKIPPED = """
import pytest

def test_that_needs_something():
    pytest.skip("it is not there")

def test_that_ran():
    pass
"""


def run(directory: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    (directory / "test_skipped.py").write_text(SKIPPED)
    argv = [sys.executable, "-m", "pytest", "-p", "tests.skips", "-c", "/dev/null", "--rootdir", str(directory)]
    return subprocess.run(
        [*argv, *options, str(directory)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_skipped_test_that_is_not_on_the_list_fails_the_run_and_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, "--known-skips")

    assert done.returncode == 1
    assert "test_skipped.py::test_that_needs_something: Skipped: it is not there" in done.stdout
    assert "test_that_ran" not in done.stdout


def test_without_the_option_it_is_only_skipped(tmp_path: Path) -> None:
    assert run(tmp_path).returncode == 0


def test_each_known_skip_has_a_reason() -> None:
    assert all(len(reason.split()) > 3 for reason in load_known().values())
