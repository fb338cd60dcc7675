"""Reads image archives of docker, podman and buildah: configuration, layers and files."""

import gzip
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

GZIP = b"\x1f\x8b"
COMPRESSION = 6
"""gzip's default, which tools use when they push."""


@dataclass(frozen=True)
class Layer:
    """A layer: its digest and its files by path."""

    digest: str
    entries: Mapping[str, tarfile.TarInfo]
    content: bytes

    @property
    def size_bytes(self) -> int:
        """Total size of its files."""
        return sum(entry.size for entry in self.entries.values())

    @property
    def pulled_bytes(self) -> int:
        """Size of the compressed layer, as a registry sends it."""
        return len(gzip.compress(self.content, COMPRESSION))

    def read(self, path: str) -> bytes:
        """Return a file's content."""
        entry = self.entries[path]
        return self.content[entry.offset_data : entry.offset_data + entry.size]


@dataclass(frozen=True)
class Image:
    """An image: its configuration, and its layers from bottom to top."""

    config: Mapping[str, Any]
    layers: list[Layer]

    @property
    def entries(self) -> dict[str, tarfile.TarInfo]:
        """All files of all layers by path."""
        return {path: entry for layer in self.layers for path, entry in layer.entries.items()}

    def read(self, path: str) -> bytes:
        """Return a file's content."""
        return next(layer for layer in reversed(self.layers) if path in layer.entries).read(path)


def load_image(path: Path) -> Image:
    """Read an archive that holds one image."""
    with tarfile.open(path) as archive:
        (manifest,) = json.loads(_read(archive, "manifest.json"))
        config = json.loads(_read(archive, manifest["Config"]))
        digests = config["rootfs"]["diff_ids"]
        named = zip(manifest["Layers"], digests, strict=True)
        return Image(config, [_load_layer(_read(archive, name), digest) for name, digest in named])


def _load_layer(content: bytes, digest: str) -> Layer:
    if content.startswith(GZIP):
        content = gzip.decompress(content)
    with tarfile.open(fileobj=BytesIO(content)) as layer:
        entries = {f"/{entry.name.strip('./')}": entry for entry in layer if entry.name.strip("./")}
    return Layer(digest, entries, content)


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.getmember(name)
    opened = archive.extractfile(archive.getmember(member.linkname) if member.issym() else member)
    if opened is None:
        raise FileNotFoundError(f"{name} of the archive is not a file")
    with opened:
        return opened.read()
