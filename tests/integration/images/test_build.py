"""`make images` explains why it cannot build."""

from pathlib import Path

import pytest

from images.build import format_created, main
from images.tools import BuildError, find_tool


def test_missing_build_tool_error_lists_what_to_install_and_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    podman = tmp_path / "podman"
    podman.write_text("#!/bin/sh\necho 'cannot clone: Operation not permitted' >&2\nexit 125\n")
    podman.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BuildError) as caught:
        find_tool()

    assert "apt-get install" in str(caught.value)
    assert "docker: not installed" in str(caught.value)
    assert "podman: cannot clone: Operation not permitted" in str(caught.value)


def test_unknown_part_is_rejected_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["sidekick"])

    assert caught.value.code == 2
    assert "unknown part: sidekick" in capsys.readouterr().err


def test_invalid_source_date_epoch_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")

    with pytest.raises(BuildError, match="set SOURCE_DATE_EPOCH to seconds since 1970"):
        format_created(tmp_path)


def test_creation_time_is_in_utc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")

    assert format_created(tmp_path) == "2023-11-14T22:13:20Z"
