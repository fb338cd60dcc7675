"""The bill of materials of an image: CycloneDX, one component for each package of Debian's and of Python's.

https://cyclonedx.org/docs/1.6/json/
"""

import email
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

SBOM_PATH = "/usr/share/podrole/sbom.cdx.json"
"""Where it is in the image; a copy is written beside the archive."""

DPKG = Path("/var/lib/dpkg")

Stanza = Mapping[str, str]
"""What dpkg's status file, or a Python package's METADATA, says about a package."""


def find_owners(files: Iterable[str]) -> dict[str, str]:
    """The Debian packages that brought these files, by name, each with its paragraph of dpkg's status file."""
    wanted = set(files) | {file.removeprefix("/usr") for file in files}  # a merged /usr is not known to every package
    owners = set()
    for listing in (DPKG / "info").glob("*.list"):
        if not wanted.isdisjoint(listing.read_text(encoding="utf-8").splitlines()):
            owners.add(listing.stem.partition(":")[0])
    paragraphs = (DPKG / "status").read_text(encoding="utf-8").strip().split("\n\n")
    return {name: text for text in paragraphs if (name := parse_stanza(text)["Package"]) in owners}


def parse_stanza(text: str) -> Stanza:
    """Read the fields of a paragraph."""
    return dict(email.message_from_string(text).items())


def load_metadata(packages: Path) -> list[Stanza]:
    """What the installed Python packages say about themselves."""
    files = sorted(packages.glob("*.dist-info/METADATA"))
    return [parse_stanza(file.read_text(encoding="utf-8")) for file in files]


def build_sbom(product: Stanza, debian: Iterable[Stanza], python: Iterable[Stanza]) -> dict[str, Any]:
    """The document. It has no time and no serial number: the same content is the same bill."""
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": product["Name"], **_name(product["Name"], product)}},
        "components": sorted([*map(build_debian, debian), *map(build_python, python)], key=lambda each: each["purl"]),
    }


def build_debian(stanza: Stanza) -> dict[str, Any]:
    """A Debian package: https://github.com/package-url/purl-spec, type deb."""
    name, version = stanza["Package"], quote(stanza["Version"], safe="")
    purl = f"pkg:deb/debian/{quote(name, safe='')}@{version}?arch={stanza['Architecture']}"
    return {"type": "library", "bom-ref": purl, **_name(name, stanza), "purl": purl}


def build_python(stanza: Stanza) -> dict[str, Any]:
    """A Python package: the same, type pypi."""
    name = stanza["Name"].lower().replace("_", "-")
    purl = f"pkg:pypi/{name}@{quote(stanza['Version'], safe='')}"
    licence = stanza.get("License-Expression")
    said = {"licenses": [{"expression": licence}]} if licence else {}
    return {"type": "library", "bom-ref": purl, **_name(name, stanza), **said, "purl": purl}


def _name(name: str, stanza: Stanza) -> dict[str, str]:
    return {"name": name, "version": stanza["Version"]}
