"""The built images. Without them the tests are skipped; PODROLE_TEST_IMAGES=required makes that a failure."""

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from images.archive import Image, load_image
from images.build import OUT, PARTS
from testing.repository import ROOT

WANTED = os.environ.get("PODROLE_TEST_IMAGES", "")


@pytest.fixture(scope="session")
def built() -> dict[str, Image]:
    """Both images as `make images` left them."""
    archives = {part: OUT / f"podrole-{part}.tar" for part in PARTS}
    if not all(archive.is_file() for archive in archives.values()):
        give_up("there are no images: make images")
    images = {part: load_image(archive) for part, archive in archives.items()}
    for part, image in images.items():
        if find_stale(image, part):
            give_up(f"podrole-{part} was built from other sources than these: make images")
    return images


@pytest.fixture(params=PARTS)
def part(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def image(built: dict[str, Image], part: str) -> Image:
    return built[part]


@pytest.fixture(scope="session")
def roots(built: dict[str, Image], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both images' root folders, unpacked as a container runtime does."""
    if os.geteuid() != 0:
        pytest.skip("only root can unpack a file capability")
    folders = {part: tmp_path_factory.mktemp(part) for part in built}
    for part, image in built.items():
        folders[part].chmod(0o755)  # it becomes the root folder of another user
        for layer in image.layers:
            archive = ["tar", "--extract", "--xattrs", "--xattrs-include=security.*", "--directory", str(folders[part])]
            subprocess.run(archive, input=layer.content, check=True)
    return folders


def find_stale(image: Image, part: str) -> list[str]:
    """Files of ours of which the image has another content than the repository has now, or none."""
    packages = tomllib.loads((ROOT / f"images/{part}.toml").read_text())["code"]
    sources = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    ours = {f"/app/{path.relative_to(ROOT)}": path.read_bytes() for path in sources}
    return [path for path, content in ours.items() if path not in image.entries or image.read(path) != content]


def give_up(reason: str) -> None:
    if WANTED:
        pytest.fail(reason)
    pytest.skip(reason)
