"""Builds of the same tree are identical, even without a cache, in different folders and with different file times."""

import os
import shutil
from pathlib import Path

import pytest

from images.archive import Image
from images.build import build_part
from testing.repository import ROOT
from tests.integration.images.conftest import WANTED

SOURCES = ("contract", "images", "injector", "podrole", "requirements", "server", "sidecar")
LAST_YEAR_SECONDS = 1_750_000_000


@pytest.mark.skipif(WANTED != "reproducible", reason="takes minutes: set PODROLE_TEST_IMAGES=reproducible")
def test_two_builds_have_the_same_layers_and_config(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")

    first = build_copy(tmp_path / "first", part)
    second = build_copy(tmp_path / "another" / "folder", part, LAST_YEAR_SECONDS)

    assert [layer.digest for layer in first.layers] == [layer.digest for layer in second.layers]
    assert first.config == second.config


def build_copy(folder: Path, part: str, modified_seconds: int | None = None) -> Image:
    folder.mkdir(parents=True)
    for name in SOURCES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "out"))
    for file in (".dockerignore", f"Dockerfile.{part}"):
        shutil.copy2(ROOT / file, folder)
    if modified_seconds:
        for path in folder.rglob("*"):
            os.utime(path, (modified_seconds, modified_seconds))
    return build_part(part, folder / "out", ["--no-cache"], folder)
