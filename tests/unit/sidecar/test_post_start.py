"""The postStart hook."""

from pathlib import Path

import pytest


@pytest.mark.parametrize("content", ["", "1", "1 ", "x y", "999999999 5"])
def test_started_file_without_running_process_is_ignored(tmp_path: Path, content: str) -> None:
    from sidecar.post_start import is_started  # noqa: PLC0415 - it changes sys.path, as a hook may

    (tmp_path / "started").write_text(content)

    assert not is_started(str(tmp_path / "started"))
