"""The built images. Tests are skipped without them, or fail if PODROLE_TEST_IMAGES=required."""

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from images.archive import Image, load_image
from images.build import OUT, PARTS
from images.contents import Contents
from testing.repository import ROOT

WANTED = os.environ.get("PODROLE_TEST_IMAGES", "")


@pytest.fixture(scope="session")
def built() -> dict[str, Image]:
    """Both images as `make images` built them."""
    archives = {part: OUT / f"podrole-{part}.tar" for part in PARTS}
    if not all(archive.is_file() for archive in archives.values()):
        skip_or_fail("there are no images: run `make images`")
    images = {part: load_image(archive) for part, archive in archives.items()}
    for part, image in images.items():
        if find_stale(image, part):
            skip_or_fail(f"podrole-{part} was built from other sources: run `make images`")
    return images


@pytest.fixture(params=PARTS)
def part(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def image(built: dict[str, Image], part: str) -> Image:
    return built[part]


@pytest.fixture(scope="session")
def roots(built: dict[str, Image], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The root folders of both images, unpacked as a container runtime does."""
    if os.geteuid() != 0:
        pytest.skip("only root can unpack file capabilities")
    folders = {part: tmp_path_factory.mktemp(part) for part in built}
    for part, image in built.items():
        folders[part].chmod(0o755)  # it becomes the root folder of another user
        for layer in image.layers:
            archive = ["tar", "--extract", "--xattrs", "--xattrs-include=security.*", "--directory", str(folders[part])]
            subprocess.run(archive, input=layer.content, check=True)
    return folders


def find_stale(image: Image, part: str) -> list[str]:
    """podrole's files that are missing or different in the image."""
    contents = load_contents(part)
    excluded = {ROOT / file for file in contents.excluded_code}
    sources = {path for package in contents.code for path in (ROOT / package).rglob("*.py")} - excluded
    ours = {f"/app/{path.relative_to(ROOT)}": path.read_bytes() for path in sources}
    return [path for path, content in ours.items() if path not in image.entries or image.read(path) != content]


def load_contents(part: str) -> Contents:
    """The description of an image."""
    return Contents.from_document(tomllib.loads((ROOT / f"images/{part}.toml").read_text()))


def skip_or_fail(reason: str) -> None:
    if WANTED:
        pytest.fail(reason)
    pytest.skip(reason)
