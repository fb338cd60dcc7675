"""Builds podrole's images, and an app image with the AWS CLI and boto3."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from images.tools import find_tool, save
from testing.repository import ROOT

APP = "localhost/podrole-test-app:1"
LOCAL_BASE = "localhost/podrole-base:trixie"
CLIENTS = ("awscli", "boto3")
BUILD_WITHIN_SECONDS = 30 * 60


class ImageError(Exception):
    """An image could not be built. The message has the end of the tool's output."""


def build_images(out: Path, environ: Mapping[str, str]) -> list[Path]:
    """Build all three; return their archives. Without BASE_IMAGE, build a base image from Debian's mirror."""
    environ = {**environ, "IMAGE_PREFIX": "localhost", "BASE_IMAGE": environ.get("BASE_IMAGE") or _find_base(environ)}
    _run([sys.executable, "-m", "images.build", f"--out={out}"], environ)
    app = out / "podrole-test-app.tar"
    context = out / "app"
    for name in CLIENTS:
        _copy_distribution(name, context / "packages", set())
    tool = find_tool()
    file = Path(__file__).with_name("app.Dockerfile")
    _run(
        [
            *tool.build,
            f"--build-arg=BASE_IMAGE={environ['BASE_IMAGE']}",
            f"--file={file}",
            f"--tag={APP}",
            str(context),
        ],
        environ,
    )
    save(tool, APP, app)
    return [out / "podrole-injector.tar", out / "podrole-sidecar.tar", app]


def _find_base(environ: Mapping[str, str]) -> str:
    if not _image_exists(LOCAL_BASE, environ):
        _run(["sh", str(ROOT / "images" / "base.sh"), LOCAL_BASE], environ)
    return LOCAL_BASE


def _image_exists(name: str, environ: Mapping[str, str]) -> bool:
    if shutil.which("buildah") is None:
        return False
    command = ["buildah", "inspect", "--type=image", name]
    return subprocess.run(command, env=environ, capture_output=True, check=False).returncode == 0


def _copy_distribution(name: str, target: Path, copied: set[str]) -> None:
    """Copy an installed package and its dependencies, whose hashes pip has verified."""
    found = distribution(name)
    if found.name in copied:
        return
    copied.add(found.name)
    for file in found.files or ():
        source = Path(str(found.locate_file(file)))
        if ".." not in file.parts and source.suffix != ".pyc" and source.is_file():
            place = target / file
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, place)
    for needed in _list_dependencies(found):
        _copy_distribution(needed, target, copied)


def _list_dependencies(found: Distribution) -> Iterator[str]:
    for line in found.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name


def _run(command: list[str], environ: Mapping[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**environ, "PATH": f"{environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_WITHIN_SECONDS,
        check=False,
    )
    if done.returncode:
        raise ImageError(f"{' '.join(command[:3])} failed with exit code {done.returncode}:\n" + done.stdout[-4000:])
