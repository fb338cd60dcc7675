"""Summarizes an image for review: programs, libraries, modules and packages, with sizes.

To accept the current contents:

    python -m tests.integration.images.listing sidecar >tests/integration/images/sidecar.yaml
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

import yaml

from images.archive import Image, load_image
from images.build import OUT

HERE = Path(__file__).parent
KIBI = 1024

GROUPS = [
    (r"/usr/local/lib/python[\d.]+/dist-packages/([^/]+?)-[^-/]+\.dist-info/.*", r"metadata: \1"),
    (r"/usr/local/lib/python[\d.]+/dist-packages/([^/.]+).*", r"package: \1"),
    (r"/usr/lib/python[\d.]+/lib-dynload/([^.]+).*", r"module in C: \1"),
    (r"/usr/lib/python[\d.]+/([^/.]+).*", r"module: \1"),
    (r"/usr/lib/[^/]*-linux-gnu/(xtables/[^/.]+).*", r"extension: \1"),
    (r"/usr/lib/[^/]*-linux-gnu/(.+?)(-linux-[^/]*)?\.so.*", r"shared library: \1"),
    (r"/usr/lib64/.*", "shared library: ld"),
    (r"(/usr/lib/ssl/certs)/.*", r"\1"),
    (r"/usr/share/doc/([^/]+)/.*", r"copyright: \1"),
    (r"/var/lib/dpkg/status.d/(.+)", r"Debian: \1"),
    (r"(/app/[^/]+)/.*", r"\1"),
    (r"(/usr/bin/python)[\d.]+", r"\1"),
]


def summarize(image: Image) -> dict[str, int]:
    """Group of files -> size in KiB, rounded: 0 for links and files below half a KiB."""
    sizes: dict[str, int] = defaultdict(int)
    for path, entry in image.entries.items():
        if not entry.isdir():
            sizes[name_group(path)] += entry.size
    return {name: round(size / KIBI) for name, size in sorted(sizes.items())}


def name_group(path: str) -> str:
    """The group of a file."""
    for pattern, name in GROUPS:
        if found := re.fullmatch(pattern, path):
            return found.expand(name)
    return path


def load_listing(part: str) -> dict[str, int]:
    """Load the accepted listing."""
    listing: dict[str, int] = yaml.safe_load((HERE / f"{part}.yaml").read_text())
    return listing


if __name__ == "__main__":
    yaml.safe_dump(summarize(load_image(OUT / f"podrole-{sys.argv[1]}.tar")), sys.stdout)
