"""The short programs of the sidecar when their output cannot be written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sidecar.redirect.__main__ as redirect
from testing.repository import ROOT

STATUS = """
import sys
from sidecar import status
status.fetch_status = lambda _port: {"state": "serving"}
sys.argv = ["status", "--output", "json"]
status.main()
"""
PROBE = """
from sidecar import probe
probe.build_report = lambda _mode: {"mode": "env"}
probe.main(["env"])
"""
STATUS_SENTENCE = "podrole: the sidecar's status cannot be written to standard output"
PROBE_SENTENCE = "podrole-probe: the report cannot be written to"


def run(code: str, redirection: str) -> tuple[int, str]:
    """Run Python with a redirection of the shell; return its exit code and standard error."""
    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-c", code]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(shell, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=20, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("redirection", "reason"),
    [
        pytest.param(">/dev/full", "No space left on device", id="full"),
        pytest.param(">&-", "Bad file descriptor", id="closed"),
    ],
)
@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        pytest.param(STATUS, STATUS_SENTENCE, id="status"),
        pytest.param(PROBE, f"{PROBE_SENTENCE} standard output", id="probe"),
    ],
)
def test_output_that_cannot_be_written_is_one_sentence(code: str, sentence: str, redirection: str, reason: str) -> None:
    assert run(code, redirection) == (1, f"{sentence}: {reason}\n")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        pytest.param("/dev/full", "No space left on device", id="full"),
        pytest.param("/nowhere/at/all", "No such file or directory", id="missing"),
        pytest.param("/", "Is a directory", id="directory"),
    ],
)
def test_report_that_cannot_be_written_to_its_file_is_one_sentence(path: str, reason: str) -> None:
    code = PROBE.replace('"env"]', f'"env", "--output", "{path}"]')

    assert run(code, "") == (1, f"{PROBE_SENTENCE} {path}: {reason}\n")


def test_output_that_can_be_written_is_written(tmp_path: Path) -> None:
    assert run(STATUS, f">{tmp_path / 'output'}") == (0, "")
    assert json.loads((tmp_path / "output").read_text()) == {"state": "serving"}


HARMLESS = """
import sidecar.redirect.__main__ as redirect
redirect.is_ipv6_off = lambda: True
redirect.load_family("ip6tables", {"block.rules": "*filter"})
"""


def test_harmless_error_that_cannot_be_printed_does_not_fail_the_rules() -> None:
    program = f"import os; os.environ['PATH'] = ''\n{HARMLESS}"

    assert run(program, "2>/dev/full")[0] == 0


def test_lock_of_iptables_is_a_file_of_the_image() -> None:
    lock_file = Path(redirect.build_environment()["XTABLES_LOCKFILE"])

    assert lock_file.is_file()
    assert lock_file.is_relative_to(ROOT / "sidecar")
