"""Python's bytecode for everything in a layer, the same bytes each time.

The bytecode's files name no time and are never compared with a source: in a read-only root nothing could be compiled.
"""

import py_compile
from importlib.util import cache_from_source
from pathlib import Path
from py_compile import PycInvalidationMode


def compile_beside_sources(root: Path, folder: str) -> None:
    """Compile our own packages, whose sources stay: a traceback shows the lines."""
    for source in _list_sources(root, folder):
        _compile(root, source, cache_from_source(str(source)), -1)


def compile_instead_of_sources(root: Path, folder: str, optimize: int) -> None:
    """Compile packages and drop their sources, which are a third of an image: a traceback still has file and line."""
    for source in _list_sources(root, folder):
        _compile(root, source, str(source.with_suffix(".pyc")), optimize)
        source.unlink()


def _list_sources(root: Path, folder: str) -> list[Path]:
    return sorted((root / folder.lstrip("/")).rglob("*.py"))


def _compile(root: Path, source: Path, target: str, optimize: int) -> None:
    shown = f"/{source.relative_to(root)}"
    mode = PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(source), target, shown, doraise=True, optimize=optimize, invalidation_mode=mode)
