"""An SDK's program is built once, and errors name missing tools and how to install them."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.sdk import build as building
from tests.integration.sdk.build import BuildError, ToolMissingError, build, find_python, find_tools, may_skip
from tests.integration.sdk.table import SDKS

SDK = replace(SDKS["boto3"], build=(("{python}", "-c", "print('built', flush=True)"),))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setattr(building, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def test_missing_tool_error_has_the_install_command() -> None:
    sdk = replace(SDK, tools={"no-such-compiler": "apt-get install no-such-compiler"})

    with pytest.raises(ToolMissingError, match=r"boto3 needs no-such-compiler.*: apt-get install no-such-compiler"):
        find_tools(sdk)


def test_missing_python_error_has_its_versions() -> None:
    with pytest.raises(ToolMissingError, match=r"Python 1\.5 or 1\.6 with pip is neither on PATH nor in pyenv"):
        find_python(["1.5", "1.6"])


def test_pyenv_shim_of_a_missing_version_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = tmp_path / "python1.5"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ToolMissingError):
        find_python(["1.5"])


def test_failed_build_shows_its_log_and_leaves_nothing_in_the_cache(cache: Path) -> None:
    sdk = replace(SDK, build=(("{python}", "-c", "raise SystemExit('no such package')"),))

    with pytest.raises(BuildError, match="no such package"):
        build(sdk, find_tools(sdk), os.environ, print)

    assert [path for path in cache.iterdir() if path.is_dir()] == []


def test_concurrent_runs_build_once() -> None:
    messages: list[str] = []

    with ThreadPoolExecutor() as pool:
        built = list(pool.map(lambda _: build(SDK, {"python": sys.executable}, os.environ, messages.append), range(2)))

    assert built[0].folder == built[1].folder
    assert (built[0].folder / "whoami.py").is_file()
    assert len(messages) == 1


def test_changed_program_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = build(SDK, {"python": sys.executable}, os.environ, print)
    (tmp_path / "boto3").mkdir()
    (tmp_path / "boto3" / "whoami.py").write_text("")
    monkeypatch.setattr(building, "SOURCES", tmp_path)

    after = build(SDK, {"python": sys.executable}, os.environ, print)

    assert after.folder != before.folder


@pytest.mark.parametrize(
    ("excused", "required", "expected"),
    [(None, False, True), (None, True, False), ("few have it", False, True), ("few have it", True, True)],
    ids=["optional", "required", "excused", "excused-and-required"],
)
def test_missing_tool_fails_if_sdks_are_required(*, excused: str | None, required: bool, expected: bool) -> None:
    sdk = replace(SDK, excused=excused)

    assert may_skip(sdk, ToolMissingError("go is not on PATH"), required=required) == expected


def test_failed_build_always_fails() -> None:
    assert not may_skip(replace(SDK, excused="few have it"), BuildError("no such package"), required=False)
