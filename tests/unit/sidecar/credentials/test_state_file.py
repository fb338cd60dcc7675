"""The state file: saving, loading, and files that are ignored."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.config import Config
from sidecar.credentials.clocks import Clocks
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.state_file import MAX_BYTES, SavedState, StateFile

NOW = 1_700_000_000.0
ROLE_ARN = "arn:aws:iam::111122223333:role/reader"
KEY = bytes(range(32))
CREDENTIALS = Credentials(ROLE_ARN, "ASIAEXAMPLE", "very+secret/key", "session+token", int(NOW), int(NOW) + 3600)
SAVED = SavedState(KEY, CREDENTIALS)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(
        role_arn=ROLE_ARN,
        region="eu-west-1",
        session_name="shop.web",
        run_directory=str(tmp_path),
        pod_uid="0c7c5f4e-1",
    )


@pytest.fixture
def state_file(config: Config) -> StateFile:
    return StateFile.for_config(config)._replace(clocks=Clocks(lambda: NOW, lambda: 5000.0))


def read_reason(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the reason in the only log line."""
    [line] = capsys.readouterr().err.splitlines()
    event_line = json.loads(line)
    assert event_line["event"] == "state-file-ignored"
    return str(event_line["reason"])


def test_repr_and_str_of_the_saved_state_contain_no_secret() -> None:
    printed = f"{SAVED!r} {SAVED}"

    assert "ASIAEXAMPLE" in printed
    assert repr(KEY) not in printed
    assert "secret/key" not in printed
    assert "session+token" not in printed


def test_saved_state_is_loaded(state_file: StateFile, capsys: pytest.CaptureFixture[str]) -> None:
    state_file.save(SAVED)

    assert state_file.load() == SAVED
    assert capsys.readouterr().err == ""


def test_missing_file_loads_nothing_and_logs_nothing(state_file: StateFile, capsys: pytest.CaptureFixture[str]) -> None:
    assert state_file.load() is None
    assert capsys.readouterr().err == ""


def test_file_mode_is_0600_with_any_umask(state_file: StateFile) -> None:
    before = os.umask(0)
    try:
        state_file.save(SAVED)
    finally:
        os.umask(before)

    assert Path(state_file.path).stat().st_mode & 0o7777 == 0o600
    assert [file.name for file in Path(state_file.path).parent.iterdir()] == ["state.json"]


def test_repr_of_saved_state_contains_no_secret() -> None:
    printed = repr(SAVED)

    assert "secret" not in printed
    assert "x02" not in printed


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"pod_uid": "another"}, id="pod"),
        pytest.param({"role_arn": "arn:aws:iam::111122223333:role/writer"}, id="role"),
        pytest.param({"session_name": "shop.db"}, id="session-name"),
        pytest.param({"session_duration_seconds": 7200}, id="duration"),
        pytest.param({"region": "eu-west-2"}, id="region"),
        pytest.param({"sts_endpoint": "https://sts.example.com"}, id="endpoint"),
    ],
)
def test_state_of_another_pod_role_or_configuration_is_ignored(
    state_file: StateFile, config: Config, change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    state_file.save(SAVED)

    found = StateFile.for_config(config._replace(**change)).load()

    assert found is None
    assert read_reason(capsys) == "it was saved for another pod, role or configuration"


def write(state_file: StateFile, content: bytes) -> None:
    Path(state_file.path).touch(mode=0o600)
    Path(state_file.path).write_bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0" * 300, id="zeros"),
        pytest.param(b"\xff\xfe", id="not-utf-8"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"7", id="number"),
        pytest.param(b"{}", id="empty-object"),
        pytest.param(b"[" * 60_000, id="deeply-nested"),
        pytest.param(b'{"identity": {}, "token_key": "00"}', id="another-format"),
    ],
)
def test_invalid_content_is_ignored(state_file: StateFile, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    write(state_file, content)

    assert state_file.load() is None
    assert read_reason(capsys)


def test_file_truncated_at_any_byte_is_ignored(state_file: StateFile) -> None:
    state_file.save(SAVED)
    whole = Path(state_file.path).read_bytes()

    for length in range(len(whole)):
        write(state_file, whole[:length])
        assert state_file.load() is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"token_key": None}, id="key-null"),
        pytest.param({"token_key": "00" * 31}, id="key-too-short"),
        pytest.param({"token_key": "zz" * 32}, id="key-not-hexadecimal"),
        pytest.param({"clock_offset": None}, id="offset-null"),
        pytest.param({"clock_offset": "now"}, id="offset-text"),
        pytest.param({"clock_offset": float("inf")}, id="offset-infinite"),
        pytest.param({"credentials": []}, id="credentials-list"),
        pytest.param({"credentials": {}}, id="credentials-empty"),
        pytest.param({"credentials": "ASIA"}, id="credentials-text"),
    ],
)
def test_file_with_one_invalid_value_is_ignored(
    state_file: StateFile, change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    state_file.save(SAVED)
    write(state_file, json.dumps(json.loads(Path(state_file.path).read_bytes()) | change).encode())

    assert state_file.load() is None
    assert read_reason(capsys) == "it is not a valid state file"


def test_credentials_of_another_role_are_ignored(state_file: StateFile, capsys: pytest.CaptureFixture[str]) -> None:
    state_file.save(SavedState(KEY, CREDENTIALS._replace(role_arn="arn:aws:iam::111122223333:role/admin")))

    assert state_file.load() is None
    assert read_reason(capsys) == "its credentials are for another role"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o606, 0o700, 0o4600])
def test_file_with_another_mode_is_ignored(
    state_file: StateFile, mode: int, capsys: pytest.CaptureFixture[str]
) -> None:
    state_file.save(SAVED)
    Path(state_file.path).chmod(mode)

    assert state_file.load() is None
    assert read_reason(capsys) == f"its mode is {mode:04o}, not 0600"


def test_file_of_another_user_is_ignored(state_file: StateFile, capsys: pytest.CaptureFixture[str]) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    state_file.save(SAVED)
    os.chown(Path(state_file.path), 16926, -1)

    assert state_file.load() is None
    assert read_reason(capsys) == "it is not a regular file of user 0 with one link"


def make_link(state_file: StateFile, elsewhere: Path) -> None:
    Path(state_file.path).rename(elsewhere)
    Path(state_file.path).symlink_to(elsewhere)


def make_second_name(state_file: StateFile, elsewhere: Path) -> None:
    elsewhere.hardlink_to(Path(state_file.path))


def make_pipe(state_file: StateFile, _elsewhere: Path) -> None:
    Path(state_file.path).unlink()
    os.mkfifo(Path(state_file.path), 0o600)


def make_directory(state_file: StateFile, _elsewhere: Path) -> None:
    Path(state_file.path).unlink()
    Path(state_file.path).mkdir(0o600)


def make_long(state_file: StateFile, _elsewhere: Path) -> None:
    Path(state_file.path).write_bytes(Path(state_file.path).read_bytes() + b" " * MAX_BYTES)


@pytest.mark.parametrize(
    "replace_file",
    [
        pytest.param(make_link, id="symlink"),
        pytest.param(make_second_name, id="hard-link"),
        pytest.param(make_pipe, id="pipe"),
        pytest.param(make_directory, id="directory"),
        pytest.param(make_long, id="too-large"),
    ],
)
def test_special_or_oversized_file_is_ignored(
    state_file: StateFile,
    replace_file: Callable[[StateFile, Path], None],
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    state_file.save(SAVED)
    replace_file(state_file, tmp_path_factory.mktemp("elsewhere") / "file")

    assert state_file.load() is None
    assert read_reason(capsys)


@pytest.mark.parametrize(
    "replace_file",
    [
        pytest.param(make_link, id="symlink"),
        pytest.param(make_pipe, id="pipe"),
        pytest.param(make_long, id="too-large"),
    ],
)
def test_special_file_is_replaced_and_not_written_through(
    state_file: StateFile, replace_file: Callable[[StateFile, Path], None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "file"
    state_file.save(SavedState(KEY))
    replace_file(state_file, elsewhere)

    state_file.save(SAVED)

    assert state_file.load() == SAVED
    assert not elsewhere.exists() or b"ASIA" not in elsewhere.read_bytes()


def test_unfinished_file_of_a_killed_process_is_replaced(state_file: StateFile) -> None:
    state_file.save(SAVED)
    Path(state_file.path).with_suffix(".new").write_bytes(b'{"identity"')

    assert state_file.load() == SAVED
    state_file.save(SavedState(KEY))
    assert state_file.load() == SavedState(KEY)


def test_symlink_at_the_temporary_path_is_not_followed(
    state_file: StateFile, tmp_path_factory: pytest.TempPathFactory
) -> None:
    target = tmp_path_factory.mktemp("elsewhere") / "target"
    target.write_bytes(b"untouched")
    Path(state_file.path).with_suffix(".new").symlink_to(target)

    state_file.save(SAVED)

    assert target.read_bytes() == b"untouched"
    assert state_file.load() == SAVED


def test_clock_set_back_between_processes_does_not_extend_credentials(state_file: StateFile) -> None:
    state_file.save(SAVED)

    found = state_file._replace(clocks=Clocks(lambda: NOW - 7200 + 30, lambda: 5030.0)).load()

    assert found is not None
    assert found.credentials is not None
    assert found.credentials.is_servable(NOW - 7200 + 3539)
    assert not found.credentials.is_servable(NOW - 7200 + 3540)


@pytest.mark.parametrize(
    ("wall", "boottime"),
    [
        pytest.param(NOW + 7200, 5000.0, id="clock-set-forward"),
        pytest.param(NOW + 7200, 12_200.0, id="suspended"),
        pytest.param(NOW + 7200, 1.0, id="rebooted"),
    ],
)
def test_credentials_expired_between_processes_are_not_servable(
    state_file: StateFile, wall: float, boottime: float
) -> None:
    state_file.save(SAVED)

    found = state_file._replace(clocks=Clocks(lambda: wall, lambda: boottime)).load()

    assert found is not None
    assert found.credentials is not None
    assert not found.credentials.is_servable(wall)
