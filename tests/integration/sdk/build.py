"""Builds the programs of `programs/` with their languages' own package managers, each once, into a cache folder.

What a program needs from the machine is found on PATH or, for an old Python, where pyenv keeps its own.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testing.repository import ROOT
from tests.integration.sdk.table import Sdk

SOURCES = Path(__file__).with_name("programs")
CACHE = ROOT / ".cache" / "sdks"
BUILD_WITHIN_SECONDS = 900
LOG_TAIL_LINES = 20


class ToolMissingError(Exception):
    """The machine lacks a program that an SDK needs. The message says which one, and what brings it."""


class BuildError(Exception):
    """A program could not be built. The message has the end of the build's log."""


def may_skip(sdk: Sdk, error: ToolMissingError | BuildError, *, required: bool) -> bool:
    """Whether an SDK's tests may be skipped for this: not where all are required, unless the table excuses it."""
    return isinstance(error, ToolMissingError) and (not required or sdk.excused is not None)


@dataclass(frozen=True)
class Program:
    """An SDK's program that was built."""

    sdk: Sdk
    folder: Path
    argv: Sequence[str]
    """Runs it, in its folder."""


def find_tools(sdk: Sdk) -> dict[str, str]:
    """The programs that an SDK is built and run with, by name; raise ToolMissingError for one that is not there."""
    tools = {"python": find_python(sdk.pythons)} if sdk.pythons else {"python": sys.executable}
    for tool, remedy in sdk.tools.items():
        path = shutil.which(tool)
        if not path:
            raise ToolMissingError(f"{sdk.title} needs {tool}, which is not on PATH: {remedy}")
        tools[tool] = path
    return tools


def find_python(versions: Sequence[str]) -> str:
    """The first of these versions of Python that this machine has, with pip."""
    for version in versions:
        for candidate in _find_candidates(version):
            # pyenv puts a program of this name on PATH that only says that the version is not the chosen one
            if _succeeds([candidate, "-m", "pip", "--version"]):
                return os.path.realpath(candidate)
    names = " or ".join(versions)
    raise ToolMissingError(f"Python {names} with pip is neither on PATH nor in pyenv: pyenv install {versions[0]}")


def build(sdk: Sdk, tools: Mapping[str, str], environ: Mapping[str, str], say: Callable[[str], None]) -> Program:
    """Build an SDK's program unless it is there. Two runs at once build it once."""
    source = SOURCES / sdk.name
    target = CACHE / f"{sdk.name}-{_digest(source, sdk, tools)}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with _locked(CACHE / f"{sdk.name}.lock"):
        if not target.is_dir():
            if sdk.build:
                say(f"building the program of {sdk.title}, the first time: {CACHE / sdk.name}.log tells")
            _build_anew(sdk, tools, environ, target)
    return Program(sdk, target, [word.format_map(tools) for word in sdk.run])


def _build_anew(sdk: Sdk, tools: Mapping[str, str], environ: Mapping[str, str], target: Path) -> None:
    log = CACHE / f"{sdk.name}.log"
    log.write_text("")
    with tempfile.TemporaryDirectory(prefix=f"{sdk.name}-", dir=CACHE) as directory:
        folder = Path(directory) / "built"
        shutil.copytree(SOURCES / sdk.name, folder, ignore=shutil.ignore_patterns("__pycache__"))
        for command in sdk.build:
            _run([word.format_map(tools) for word in command], folder, {**environ, **sdk.environ}, log)
        folder.rename(target)


def _run(argv: Sequence[str], folder: Path, environ: Mapping[str, str], log: Path) -> None:
    with log.open("a") as output:
        done = subprocess.run(
            argv,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
            timeout=BUILD_WITHIN_SECONDS,
        )
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
        raise BuildError(f"{' '.join(argv)} ended with {done.returncode}. The end of {log}:\n{tail}")


def _digest(source: Path, sdk: Sdk, tools: Mapping[str, str]) -> str:
    """Changes with whatever the result depends on."""
    digest = hashlib.sha256(repr((sdk.build, sorted(tools.items()))).encode())
    for file in sorted(path for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        digest.update(f"\0{file.relative_to(source)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _find_candidates(version: str) -> Iterator[str]:
    if on_path := shutil.which(f"python{version}"):
        yield on_path
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], check=True, capture_output=True, text=True).stdout.strip()
        yield from map(str, sorted(Path(root, "versions").glob(f"{version}.*/bin/python{version}"), reverse=True))


def _succeeds(argv: Sequence[str]) -> bool:
    return not subprocess.run(argv, check=False, capture_output=True).returncode
