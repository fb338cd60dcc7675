"""The started file: its content, and what lies in its place."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.post_start import is_started, read_start_time
from sidecar.run_directory import StartedFile


def leave_link(path: Path, other: Path) -> None:
    path.symlink_to(other)


def leave_second_link(path: Path, other: Path) -> None:
    path.hardlink_to(other)


def leave_pipe(path: Path, _other: Path) -> None:
    os.mkfifo(path)


def leave_long_file(path: Path, _other: Path) -> None:
    path.write_text("1234567 " * 1000)


@pytest.mark.parametrize("leave", [leave_link, leave_second_link, leave_pipe, leave_long_file])
@pytest.mark.parametrize("name", ["started", "started.new"])
def test_what_lies_in_the_place_of_the_started_file_is_replaced(
    tmp_path: Path, leave: Callable[[Path, Path], None], name: str
) -> None:
    other = tmp_path / "other"
    other.write_text("other")
    leave(tmp_path / name, other)
    file = StartedFile(str(tmp_path))

    file.reserve()
    is_early = is_started(file.path)
    file.publish()

    assert not is_early
    assert is_started(file.path)
    assert Path(file.path).read_text() == f"{os.getpid()} {read_start_time(os.getpid())}"
    assert other.read_text() == "other"


def test_directory_in_the_place_of_the_started_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "started.new" / "full").mkdir(parents=True)

    with pytest.raises(OSError, match="Is a directory"):
        StartedFile(str(tmp_path)).reserve()


def test_restart_uses_the_inode_of_the_old_file(tmp_path: Path) -> None:
    file = StartedFile(str(tmp_path))
    file.reserve()
    file.publish()
    before = Path(file.path).stat().st_ino

    file.reserve()
    file.publish()

    assert Path(file.path).stat().st_ino == before
