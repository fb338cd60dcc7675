"""Compiles the Python files of a layer, reproducibly.

The .pyc files hold no timestamp and are never compared with their sources: in a read-only root nothing is recompiled.
"""

import py_compile
from importlib.util import cache_from_source
from pathlib import Path
from py_compile import PycInvalidationMode


def compile_beside_sources(root: Path, folder: str) -> None:
    """Compile podrole's packages and keep their sources, so that tracebacks show lines."""
    for source in _list_sources(root, folder):
        _compile(root, source, cache_from_source(str(source)), -1)


def compile_instead_of_sources(root: Path, folder: str, optimize: int) -> None:
    """Compile packages and delete their sources, a third of the image's size. Tracebacks keep file and line number."""
    for source in _list_sources(root, folder):
        _compile(root, source, str(source.with_suffix(".pyc")), optimize)
        source.unlink()


def _list_sources(root: Path, folder: str) -> list[Path]:
    return sorted((root / folder.lstrip("/")).rglob("*.py"))


def _compile(root: Path, source: Path, target: str, optimize: int) -> None:
    shown = f"/{source.relative_to(root)}"
    mode = PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(source), target, shown, doraise=True, optimize=optimize, invalidation_mode=mode)
