"""Saving the state: what is saved at the start, and writes that fail."""

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.state_file import SavedState, StateFile
from sidecar.credentials.state_saver import StateSaver
from testing.sidecars import ROLE_ARN

NOW = 1_700_000_000
CREDENTIALS = Credentials(ROLE_ARN, "ASIAEXAMPLE", "very+secret/key", "session+token", NOW, NOW + 3600)
NEWER = CREDENTIALS._replace(access_key_id="ASIANEWER")
FULL = "No space left on device: its file system is full"


def build_file(directory: Path) -> StateFile:
    return StateFile.for_config(
        Config(role_arn=ROLE_ARN, region="eu-west-1", session_name="web", run_directory=str(directory), pod_uid="1")
    )


def list_reasons(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line["reason"] for line in lines if line["event"] == "state-file-write-failed"]


@pytest.fixture
def one_page(tmp_path: Path) -> Iterator[Path]:
    """A file system that holds 4 KiB."""
    place = tmp_path / "one_page"
    place.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(place)]
    if mount is None or subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("a file system can be mounted by root alone")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_full_disk_is_logged_once_and_leaves_no_partial_file(
    one_page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (one_page / "filler").write_bytes(b"x" * 4096)

    saver = StateSaver(build_file(one_page))
    saver.save(CREDENTIALS)
    saver.retry()

    assert saver.error == FULL
    assert list_reasons(capsys) == [FULL]
    assert [file.name for file in one_page.iterdir()] == ["filler"]


def test_newest_credentials_are_saved_when_there_is_space_again(
    one_page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (one_page / "filler").write_bytes(b"x" * 4096)
    saver = StateSaver(build_file(one_page))
    saver.save(CREDENTIALS)
    saver.save(NEWER)

    (one_page / "filler").unlink()
    saver.retry()

    loaded = build_file(one_page).load()
    assert saver.error is None
    assert loaded
    assert (loaded.token_key, loaded.credentials) == (saver.restored.token_key, NEWER)
    capsys.readouterr()


def test_each_new_reason_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saver = StateSaver(build_file(tmp_path))
    for number in (errno.EROFS, errno.EROFS, errno.EDQUOT, 0, errno.EDQUOT):
        with monkeypatch.context() as patch:
            if number:
                patch.setattr(os, "replace", lambda *_, number=number: raise_error(number))
            saver.save(CREDENTIALS)

    assert list_reasons(capsys) == ["Read-only file system", "Disk quota exceeded", "Disk quota exceeded"]


def raise_error(number: int) -> None:
    raise OSError(number, os.strerror(number))


def test_missing_directory_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    StateSaver(build_file(Path("/nowhere/at/all")))

    assert list_reasons(capsys) == ["No such file or directory"]


def test_nothing_is_written_again_after_a_success(tmp_path: Path) -> None:
    saver = StateSaver(build_file(tmp_path))
    saver.save(CREDENTIALS)
    (tmp_path / "state.json").unlink()

    saver.retry()

    assert not (tmp_path / "state.json").exists()


def test_new_token_key_is_saved_at_once(tmp_path: Path) -> None:
    created = StateSaver(build_file(tmp_path)).restored

    assert len(created.token_key) == 32
    assert created.credentials is None
    assert StateSaver(build_file(tmp_path)).restored == created


def test_saved_state_is_restored_with_its_key(tmp_path: Path) -> None:
    build_file(tmp_path).save(SavedState(bytes(range(32)), CREDENTIALS))

    assert StateSaver(build_file(tmp_path)).restored == SavedState(bytes(range(32)), CREDENTIALS)
