"""What an image shall hold: its TOML file as a value. Nothing here touches a file system."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Contents:
    """One image."""

    name: str
    code: Sequence[str]
    """Our own packages."""
    optimize: int
    """Python's level of optimization for the bytecode of all but our own packages: 2 drops docstrings and asserts."""
    authorities: str
    """The bundle of certificate authorities, a file among the installed packages."""
    commands: Mapping[str, str]
    """Name: the Python module and function that it runs, as in pyproject.toml."""
    programs: Mapping[str, Sequence[str]]
    """File of the base: the names under which it is found in the image."""
    capabilities: Mapping[str, str]
    """Name in the image: the file capability that it gets."""
    extensions: Sequence[str]
    """Shared libraries that a program loads by name, by their paths under the directory of libraries."""
    users: Mapping[str, int]
    excluded_library: Sequence[str]
    """Patterns under Python's standard library."""
    excluded_packages: Sequence[str]
    """Patterns under the installed packages."""
    included: Sequence[str]
    """Patterns under the installed packages which stay although another pattern leaves them out."""

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Take a parsed TOML file."""
        left_out = document["leave-out"]
        return cls(
            name=document["name"],
            code=document["code"],
            optimize=document["optimize"],
            authorities=document["authorities"],
            commands=document.get("commands", {}),
            programs=document.get("programs", {}),
            capabilities=document.get("capabilities", {}),
            extensions=document.get("extensions", []),
            users=document["users"],
            excluded_library=left_out["library"],
            excluded_packages=left_out["packages"],
            included=document.get("keep", []),
        )
