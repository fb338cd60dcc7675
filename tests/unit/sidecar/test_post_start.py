"""The postStart hook."""

import time
from pathlib import Path

import pytest


@pytest.mark.parametrize("content", ["", "1", "1 ", "x y", "999999999 5"])
def test_started_file_without_running_process_is_ignored(tmp_path: Path, content: str) -> None:
    from sidecar.post_start import is_started  # noqa: PLC0415 - it changes sys.path, as a hook may

    (tmp_path / "started").write_text(content)

    assert not is_started(str(tmp_path / "started"))


def test_hook_without_a_started_file_gives_up_at_its_deadline(tmp_path: Path) -> None:
    from sidecar.post_start import wait_until_started  # noqa: PLC0415 - as above

    began = time.monotonic()

    assert not wait_until_started(str(tmp_path / "started"), timeout_seconds=0.1)
    assert 0.1 <= time.monotonic() - began < 5
