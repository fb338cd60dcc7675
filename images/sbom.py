"""The SBOM of an image, in CycloneDX: one component per Debian and Python package.

https://cyclonedx.org/docs/1.6/json/
"""

import email
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

SBOM_PATH = "/usr/share/podrole/sbom.cdx.json"
"""Path in the image. The build writes a copy next to the archive."""

DPKG = Path("/var/lib/dpkg")

Stanza = Mapping[str, str]
"""A package's fields in dpkg's status file or in a Python package's METADATA."""


def find_owners(files: Iterable[str]) -> dict[str, str]:
    """The Debian packages that own these files: name -> paragraph of dpkg's status file."""
    # Some packages list their files without the merged /usr.
    wanted = set(files) | {file.removeprefix("/usr") for file in files}
    owners = set()
    for listing in (DPKG / "info").glob("*.list"):
        if not wanted.isdisjoint(listing.read_text(encoding="utf-8").splitlines()):
            owners.add(listing.stem.partition(":")[0])
    paragraphs = (DPKG / "status").read_text(encoding="utf-8").strip().split("\n\n")
    return {name: text for text in paragraphs if (name := parse_stanza(text)["Package"]) in owners}


def parse_stanza(text: str) -> Stanza:
    """Parse the fields of a paragraph."""
    return dict(email.message_from_string(text).items())


def load_metadata(packages: Path) -> list[Stanza]:
    """Read the metadata of the installed Python packages."""
    files = sorted(packages.glob("*.dist-info/METADATA"))
    return [parse_stanza(file.read_text(encoding="utf-8")) for file in files]


def build_sbom(product: Stanza, debian: Iterable[Stanza], python: Iterable[Stanza]) -> dict[str, Any]:
    """Build the document, without a timestamp and serial number, so that it is reproducible."""
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": product["Name"], **_name(product["Name"], product)}},
        "components": sorted([*map(build_debian, debian), *map(build_python, python)], key=lambda each: each["purl"]),
    }


def build_debian(stanza: Stanza) -> dict[str, Any]:
    """Build the component of a Debian package: https://github.com/package-url/purl-spec, type deb."""
    name, version = stanza["Package"], quote(stanza["Version"], safe="")
    purl = f"pkg:deb/debian/{quote(name, safe='')}@{version}?arch={stanza['Architecture']}"
    return {"type": "library", "bom-ref": purl, **_name(name, stanza), "purl": purl}


def build_python(stanza: Stanza) -> dict[str, Any]:
    """Build the component of a Python package: as above, type pypi."""
    name = stanza["Name"].lower().replace("_", "-")
    purl = f"pkg:pypi/{name}@{quote(stanza['Version'], safe='')}"
    licence = stanza.get("License-Expression")
    licences = {"licenses": [{"expression": licence}]} if licence else {}
    return {"type": "library", "bom-ref": purl, **_name(name, stanza), **licences, "purl": purl}


def _name(name: str, stanza: Stanza) -> dict[str, str]:
    return {"name": name, "version": stanza["Version"]}
