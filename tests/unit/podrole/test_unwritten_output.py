"""The command when its output cannot be written: a full disk, or a closed descriptor."""

import os
import subprocess
import sys

import pytest

from testing.repository import ROOT

SETTINGS = ["--sidecar-image", "podrole:1", "--region", "eu-west-1", "--account-id", "111122223333"]
INJECT = ["inject", *SETTINGS, "-f", "testing/manifests/namespaces.yaml"]
WRONG = ["inject", *SETTINGS, "-f", "/nowhere.yaml"]
FULL = "Error: the output cannot be written: No space left on device\n"
CLOSED = "Error: the output cannot be written: Bad file descriptor\n"
UNEXPECTED = (
    "Error: unexpected error: OSError: [Errno 28] No space left on device. PODROLE_DEBUG=1 shows where it occurred\n"
)


@pytest.mark.parametrize(
    ("arguments", "redirection", "code", "message"),
    [
        pytest.param(INJECT, ">/dev/full", 4, UNEXPECTED, id="full"),
        pytest.param(["--help"], ">/dev/full", 4, FULL, id="full-for-the-help"),
        pytest.param(["--version"], ">/dev/full", 4, FULL, id="full-for-the-version"),
        pytest.param(["inject", "--help"], ">/dev/full", 4, UNEXPECTED, id="full-for-the-help-of-a-command"),
        pytest.param(INJECT, ">&-", 4, CLOSED, id="closed"),
        pytest.param(INJECT, ">/dev/null 2>/dev/full", 4, "", id="full-for-the-report"),
        pytest.param(WRONG, ">/dev/null 2>/dev/full", 4, "", id="full-for-the-message-of-an-error"),
        pytest.param(["inject", "--wrong"], ">/dev/null 2>/dev/full", 4, "", id="full-for-the-message-of-wrong-usage"),
    ],
)
def test_output_that_cannot_be_written_is_a_message_and_an_exit_code(
    arguments: list[str], redirection: str, code: int, message: str
) -> None:
    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "podrole", *arguments]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(shell, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30, check=False)

    assert (done.returncode, done.stderr) == (code, message)
