"""In CI a skipped test fails unless the repository lists it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from testing.repository import ROOT
from tests.skips import is_known, load_known

TESTS = """
import pytest

@pytest.fixture
def missing():
    pytest.skip("not installed")

def test_skipped():
    pytest.skip("not available")

def test_skipped_by_fixture(missing):
    pass

@pytest.mark.xfail(reason="expected", strict=True)
def test_expected_failure():
    assert False

def test_passing():
    pass
"""

in_one_process_and_in_workers = pytest.mark.parametrize("processes", ["0", "2"], ids=["one-process", "two-workers"])


def run_pytest(directory: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    (directory / "test_skips.py").write_text(TESTS)
    plugins = ["-p", "xdist", "-p", "tests.skips"]
    argv = [sys.executable, "-m", "pytest", *plugins, "-c", "/dev/null", "--rootdir", str(directory), *options]
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # faster, and xdist loads once
    return subprocess.run(
        [*argv, str(directory)], cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=60
    )


@in_one_process_and_in_workers
def test_unknown_skips_fail_the_run_and_are_named(tmp_path: Path, processes: str) -> None:
    done = run_pytest(tmp_path, "--known-skips", "-n", processes)

    assert done.returncode == 1
    assert "skipped, and not in skips.yaml: test_skips.py::test_skipped: Skipped: not available" in done.stdout
    assert "skips.yaml: test_skips.py::test_skipped_by_fixture: Skipped: not installed" in done.stdout
    assert "1 failed, 1 passed, 1 xfailed, 1 error" in done.stdout


@in_one_process_and_in_workers
def test_skips_pass_without_the_option(tmp_path: Path, processes: str) -> None:
    done = run_pytest(tmp_path, "-n", processes)

    assert done.returncode == 0
    assert "1 passed, 2 skipped, 1 xfailed" in done.stdout


def test_listed_skip_is_known() -> None:
    assert is_known(
        "tests/integration/images/test_reproducible.py::test_rebuild_is_identical[sidecar]: "
        "Skipped: takes minutes: set PODROLE_TEST_IMAGES=reproducible"
    )


def test_each_listed_skip_has_a_reason() -> None:
    assert all(len(reason.split()) > 3 for reason in load_known().values())
