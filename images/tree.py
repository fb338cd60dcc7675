"""A root folder for a layer, filled with files of this system under the same paths."""

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
        """Paths of the system's files that were copied."""

    def at(self, path: str) -> Path:
        """The path in this folder for a path in the image."""
        return self.root / path.lstrip("/")

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a new file."""
        self.at(path).parent.mkdir(parents=True, exist_ok=True)
        self.at(path).write_text(text, encoding="utf-8")
        self.at(path).chmod(mode)

    def link(self, path: str, target: str) -> None:
        """Create a symbolic link."""
        place = self.at(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_symlink():
            place.symlink_to(target)

    def copy(self, path: str) -> None:
        """Copy a file, and the symbolic links that its path follows."""
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

    def copy_folder(self, source: Path, path: str, excluded: Sequence[str], included: Sequence[str] = ()) -> None:
        """Copy a folder without excluded files, bytecode caches and type stubs; `included` overrides `excluded`."""
        patterns = [*excluded, "**/__pycache__", "**/*.pyi", "**/py.typed"]
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
        """Copy the shared libraries that these files need, unless they are already in this folder."""
        for file in files:
            for library in find_libraries(file):
                if not Path(library).is_relative_to(self.root):
                    self.copy(library)

    def set_times(self, seconds: int) -> None:
        """Set one modification time for all files, so that the same content gives the same layer."""
        for found in [self.root, *self.root.rglob("*")]:
            os.utime(found, (seconds, seconds), follow_symlinks=False)


def is_elf(file: Path) -> bool:
    """Whether the file is an executable or a shared library."""
    if file.is_symlink() or not file.is_file():
        return False
    with file.open("rb") as opened:
        return opened.read(len(ELF)) == ELF


def find_libraries(file: Path) -> list[str]:
    """The shared libraries that a file needs, and the loader. Raise FileNotFoundError if one is missing."""
    listed = subprocess.run(["ldd", file], capture_output=True, text=True, check=False).stdout
    if missing := re.findall(r"(\S+) => not found", listed):
        raise FileNotFoundError(f"{file} needs {', '.join(missing)}, which the base image does not have")
    return re.findall(r"(/\S+) \(0x", listed)
