"""A container image as data: folders of this machine, bound read-only, and the image's defaults."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

SYSTEM_DIRECTORIES = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
SYSTEM_FILES = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ssl", "/etc/pki", "/etc/ca-certificates")
"""Files that dynamically linked programs and TLS need, as far as the distribution has them."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

ETC_FILES = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


@dataclass(frozen=True)
class Image:
    """A root file system, and defaults for a pod spec."""

    binds: Mapping[str, str]
    """Path in the container -> path on the node, bound read-only."""
    symlinks: Mapping[str, str] = field(default_factory=dict)
    """Path in the container -> target."""
    files: Mapping[str, str] = field(default_factory=lambda: dict(ETC_FILES))
    """Path in the container -> text."""
    environment: Mapping[str, str] = field(default_factory=lambda: {"PATH": SYSTEM_PATH})
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    user: int = 0
    group: int = 0
    working_directory: str = "/"

    def with_binds(self, binds: Mapping[str, str | Path]) -> "Image":
        """A copy of the image with more folders of this machine."""
        return replace(self, binds={**self.binds, **{path: str(source) for path, source in binds.items()}})


def build_system_image() -> Image:
    """The programs and libraries of this machine, without configuration, users and data."""
    links = {path: str(Path(path).readlink()) for path in SYSTEM_DIRECTORIES if Path(path).is_symlink()}
    present = [path for path in (*SYSTEM_DIRECTORIES, *SYSTEM_FILES) if path not in links and Path(path).exists()]
    return Image(binds={path: path for path in present}, symlinks=links)


def build_image(repository: Path, nft: str = "/usr/sbin/nft") -> Image:
    """Build an image for podrole's containers and Python apps: the system, this Python with its packages, podrole.

    `nft` is the node's copy with the file capability of the real image (`Node.nft`).
    """
    python = {path: os.path.realpath(path) for path in _python_directories()}
    code = {f"/app/{name}": str(repository / name) for name in ("contract", "server", "sidecar")}
    rules = {f"/etc/podrole/{path.name}": str(path) for path in sorted((repository / "sidecar/redirect").glob("*.nft"))}
    system = build_system_image()
    return replace(
        system.with_binds({**python, **code, **rules, "/usr/sbin/nft": nft}),
        # bytecode cannot be written to read-only binds, and each attempt costs time
        environment={
            "PATH": f"{sys.prefix}/bin:{SYSTEM_PATH}",
            "PYTHONPATH": "/app",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        working_directory="/app",
    )


def _python_directories() -> list[str]:
    """The folders of the running Python outside of /usr: the virtual environment and its base installation.

    Both as Python names them and with symbolic links resolved: links need both.
    """
    names = {sys.prefix, sys.base_prefix, sys.base_exec_prefix}
    paths = names | {os.path.realpath(name) for name in names}
    return sorted(path for path in paths if not path.startswith("/usr/") and path not in {"/usr", "/"})
