"""The postStart hook."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from testing.repository import ROOT


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"1", id="no-time"),
        pytest.param(b"1 ", id="empty-time"),
        pytest.param(b"x y", id="words"),
        pytest.param(b"999999999 5", id="no-such-process"),
        pytest.param(b"\xff 5", id="no-ascii"),
        pytest.param(b"\0 5", id="zero-byte"),
        pytest.param(b"1" * 5000 + b" 5", id="too-many-digits"),
        pytest.param("\N{SUPERSCRIPT TWO} 5".encode(), id="digit-that-is-no-number"),
    ],
)
def test_started_file_without_running_process_is_ignored(tmp_path: Path, content: bytes) -> None:
    from sidecar.post_start import is_started  # noqa: PLC0415 - it changes sys.path, as a hook may

    (tmp_path / "started").write_bytes(content)

    assert not is_started(str(tmp_path / "started"))


def test_hook_without_a_started_file_gives_up_at_its_deadline(tmp_path: Path) -> None:
    from sidecar.post_start import wait_until_started  # noqa: PLC0415 - as above

    began = time.monotonic()

    assert not wait_until_started(str(tmp_path / "started"), timeout_seconds=0.1)
    assert 0.1 <= time.monotonic() - began < 5


def test_hook_does_not_wait_for_a_pipe_in_the_place_of_the_started_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "started")
    program = "import sys; from sidecar.post_start import is_started; print(is_started(sys.argv[1]))"
    argv = [sys.executable, "-c", program, str(tmp_path / "started")]

    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=10, check=False)

    assert (done.stdout, done.stderr) == ("False\n", "")
