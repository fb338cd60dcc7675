"""An SDK's program is built once, and what a machine lacks is told with what brings it."""

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
    """A cache of this test's own."""
    monkeypatch.setattr(building, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def test_a_missing_tool_is_named_with_what_brings_it() -> None:
    sdk = replace(SDK, tools={"no-such-compiler": "apt-get install no-such-compiler"})

    with pytest.raises(ToolMissingError, match=r"boto3 needs no-such-compiler.*: apt-get install no-such-compiler"):
        find_tools(sdk)


def test_a_missing_python_is_named_with_its_versions() -> None:
    with pytest.raises(ToolMissingError, match=r"Python 1\.5 or 1\.6 with pip is neither on PATH nor in pyenv"):
        find_python(["1.5", "1.6"])


def test_a_python_that_only_says_that_it_is_not_there_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = tmp_path / "python1.5"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ToolMissingError):
        find_python(["1.5"])


def test_a_failed_build_shows_the_end_of_its_log_and_leaves_nothing(cache: Path) -> None:
    sdk = replace(SDK, build=(("{python}", "-c", "raise SystemExit('no such package')"),))

    with pytest.raises(BuildError, match="no such package"):
        build(sdk, find_tools(sdk), os.environ, print)

    assert [path for path in cache.iterdir() if path.is_dir()] == []


def test_two_runs_at_once_build_once() -> None:
    said: list[str] = []

    with ThreadPoolExecutor() as pool:
        built = list(pool.map(lambda _: build(SDK, {"python": sys.executable}, os.environ, said.append), range(2)))

    assert built[0].folder == built[1].folder
    assert (built[0].folder / "whoami.py").is_file()
    assert len(said) == 1


def test_a_change_of_the_program_is_another_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = build(SDK, {"python": sys.executable}, os.environ, print)
    (tmp_path / "boto3").mkdir()
    (tmp_path / "boto3" / "whoami.py").write_text("")
    monkeypatch.setattr(building, "SOURCES", tmp_path)

    after = build(SDK, {"python": sys.executable}, os.environ, print)

    assert after.folder != before.folder


@pytest.mark.parametrize(
    ("excused", "required", "expected"),
    [(None, False, True), (None, True, False), ("few have it", False, True), ("few have it", True, True)],
)
def test_a_missing_tool_is_a_failure_where_sdks_are_required(
    *, excused: str | None, required: bool, expected: bool
) -> None:
    sdk = replace(SDK, excused=excused)

    assert may_skip(sdk, ToolMissingError("go is not on PATH"), required=required) == expected


def test_a_failed_build_is_always_a_failure() -> None:
    assert not may_skip(replace(SDK, excused="few have it"), BuildError("no such package"), required=False)
