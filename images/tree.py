"""A root folder that is filled with files of the system that this runs on, under the same paths."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

ELF = b"\x7fELF"


class Tree:
    """The root of a layer."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.copied: set[str] = set()
        """Paths of the system's files that are in it."""

    def at(self, path: str) -> Path:
        """Where a path of the image is now."""
        return self.root / path.lstrip("/")

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Make a file of our own."""
        self.at(path).parent.mkdir(parents=True, exist_ok=True)
        self.at(path).write_text(text, encoding="utf-8")
        self.at(path).chmod(mode)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link."""
        place = self.at(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_symlink():
            place.symlink_to(target)

    def copy(self, path: str) -> None:
        """Copy a file, with each symbolic link on the way to it."""
        walked, ahead = Path("/"), list(Path(path).parts[1:])
        while ahead:
            walked /= ahead.pop(0)
            if walked.is_symlink():
                target = str(walked.readlink())
                self.link(str(walked), target)
                ahead = [*Path(os.path.normpath(walked.parent / target)).parts[1:], *ahead]
                walked = Path("/")
        self.copied.add(str(walked))
        self.at(str(walked)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(walked, self.at(str(walked)))

    def copy_folder(self, source: Path, path: str, left_out: Sequence[str], included: Sequence[str] = ()) -> None:
        """Copy what is in a folder, except what the patterns name, and what no program reads."""
        patterns = [*left_out, "**/__pycache__", "**/*.pyi", "**/py.typed"]
        absent = {found for pattern in patterns for found in source.glob(pattern)}
        present = {found for pattern in included for found in source.glob(pattern)}
        for found in sorted(source.rglob("*")):
            if not found.is_file() or (found not in present and not absent.isdisjoint([found, *found.parents])):
                continue
            self.copied.add(str(found))
            place = self.at(path) / found.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(found, place)

    def copy_libraries(self, files: Iterable[Path]) -> None:
        """Copy the shared libraries that these files need, those which are already beside them left alone."""
        for file in files:
            for library in find_libraries(file):
                if not Path(library).is_relative_to(self.root):
                    self.copy(library)

    def set_times(self, seconds: int) -> None:
        """Give all of it one time of modification, so that the same content is the same layer."""
        for found in [self.root, *self.root.rglob("*")]:
            os.utime(found, (seconds, seconds), follow_symlinks=False)


def is_elf(file: Path) -> bool:
    """Whether the file is a program or a shared library."""
    if file.is_symlink() or not file.is_file():
        return False
    with file.open("rb") as opened:
        return opened.read(len(ELF)) == ELF


def find_libraries(file: Path) -> list[str]:
    """The shared libraries that a program or library needs, and the loader; raise where one is missing."""
    listed = subprocess.run(["ldd", file], capture_output=True, text=True, check=False).stdout
    if missing := re.findall(r"(\S+) => not found", listed):
        raise FileNotFoundError(f"{file} needs {', '.join(missing)}, which the base image lacks")
    return re.findall(r"(/\S+) \(0x", listed)
