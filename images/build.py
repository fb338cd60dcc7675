"""`make images`: builds both images, writes an archive and an SBOM of each, and prints their sizes.

Standard library only: it needs nothing but a build tool.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import contract
from images.archive import Image, load_image
from images.sbom import SBOM_PATH
from images.tools import BuildError, build, build_name, find_tool, save

REPOSITORY = Path(__file__).parents[1]
OUT = REPOSITORY / "images" / "out"
PARTS = ("injector", "sidecar")
LAYERS = ("system", "packages", "app")
MEBI = 1024 * 1024


def main(argv: Sequence[str] | None = None) -> int:
    """Build the images; return the exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m images.build", description="Build the images.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{' or '.join(PARTS)}  [default: both]")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the archives")
    parser.add_argument("--no-cache", action="store_true", help="do not use cached layers")
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"unknown part: {', '.join(unknown)}")
    try:
        for part in arguments.parts or PARTS:
            image = build_part(part, arguments.out.resolve(), ["--no-cache"] if arguments.no_cache else [])
            print_layers(build_name(part), image)
    except BuildError as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    return 0


def build_part(part: str, out: Path, options: Sequence[str] = (), repository: Path = REPOSITORY) -> Image:
    """Build one image into OUT/podrole-PART.tar, and write its SBOM to OUT/podrole-PART.cdx.json."""
    tool, name, archive = find_tool(), build_name(part), out / f"podrole-{part}.tar"
    given = {"VERSION": contract.VERSION, "CREATED": format_created(repository)}
    if base := os.environ.get("BASE_IMAGE"):
        given["BASE_IMAGE"] = base
    build(tool, name, repository, given, options)
    out.mkdir(parents=True, exist_ok=True)
    save(tool, name, archive)
    image = load_image(archive)
    (out / f"podrole-{part}.cdx.json").write_bytes(image.read(SBOM_PATH))
    return image


def format_created(repository: Path) -> str:
    """SOURCE_DATE_EPOCH or the time of the last commit, in RFC 3339."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH") or _read_commit_time(repository)
    if not seconds.isdigit():
        raise BuildError("set SOURCE_DATE_EPOCH to seconds since 1970")
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def print_layers(name: str, image: Image) -> None:
    """Print each layer's size, uncompressed and as pulled."""
    print(f"\n{name} ({image.config['architecture']}), MiB")
    print(f"  {'layer':<10} {'files':>7} {'pulled':>7}  digest")
    sizes = [(layer.size_bytes / MEBI, layer.pulled_bytes / MEBI) for layer in image.layers]
    for title, layer, (files, pulled) in zip(LAYERS, image.layers, sizes, strict=True):
        print(f"  {title:<10} {files:7.1f} {pulled:7.1f}  {layer.digest}")
    print(f"  {'all':<10} {sum(files for files, _ in sizes):7.1f} {sum(pulled for _, pulled in sizes):7.1f}")


def _read_commit_time(repository: Path) -> str:
    command = ["git", "log", "-1", "--format=%ct"]
    try:
        return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
