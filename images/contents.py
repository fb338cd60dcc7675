"""The contents of an image, parsed from its TOML file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Contents:
    """The contents of one image."""

    name: str
    code: Sequence[str]
    """podrole's packages."""
    optimize: int
    """Python's level of optimization for the bytecode of all other packages: 2 drops docstrings and asserts."""
    ca_bundle: str
    """The CA bundle: a file in the installed packages."""
    commands: Mapping[str, str]
    """Name -> the Python module and function that it runs, as in pyproject.toml."""
    programs: Mapping[str, Sequence[str]]
    """File of the base image -> its names in the image."""
    capabilities: Mapping[str, str]
    """Name in the image -> its file capability."""
    extensions: Sequence[str]
    """Shared libraries that programs load at run time, relative to the library folder."""
    users: Mapping[str, int]
    excluded_code: Sequence[str]
    """Files of podrole's packages, relative to the repository."""
    excluded_library: Sequence[str]
    """Patterns in Python's standard library."""
    excluded_packages: Sequence[str]
    """Patterns in the installed packages."""
    stripped: Sequence[str]
    """Patterns in the installed packages: shared libraries whose debug information is removed."""
    included: Sequence[str]
    """Patterns in the installed packages that override `excluded_packages`."""

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Convert a parsed TOML file."""
        exclude = document["exclude"]
        return cls(
            name=document["name"],
            code=document["code"],
            optimize=document["optimize"],
            ca_bundle=document["ca_bundle"],
            commands=document.get("commands", {}),
            programs=document.get("programs", {}),
            capabilities=document.get("capabilities", {}),
            extensions=document.get("extensions", []),
            users=document["users"],
            excluded_code=exclude.get("code", []),
            excluded_library=exclude["library"],
            excluded_packages=exclude["packages"],
            stripped=document.get("strip", []),
            included=document.get("include", []),
        )
