"""Builds the programs of `programs/` with their languages' package managers, once, into a cache folder.

Compilers and interpreters are found on PATH; old Pythons also in pyenv.
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
    """A program that an SDK needs is not installed. The message names it and how to install it."""


class BuildError(Exception):
    """A program could not be built. The message has the end of the build log."""


def may_skip(sdk: Sdk, error: ToolMissingError | BuildError, *, required: bool) -> bool:
    """Whether a missing tool can skip an SDK's tests: if SDKs are not required, or the table excuses it."""
    return isinstance(error, ToolMissingError) and (not required or sdk.excused is not None)


@dataclass(frozen=True)
class Program:
    """The built program of an SDK."""

    sdk: Sdk
    folder: Path
    argv: Sequence[str]
    """The command that runs it, in its folder."""


def find_tools(sdk: Sdk) -> dict[str, str]:
    """Find the programs that an SDK is built and run with, by name. Raise ToolMissingError if one is missing."""
    tools = {"python": find_python(sdk.pythons)} if sdk.pythons else {"python": sys.executable}
    for tool, remedy in sdk.tools.items():
        path = shutil.which(tool)
        if not path:
            raise ToolMissingError(f"{sdk.title} needs {tool}, which is not on PATH: {remedy}")
        tools[tool] = path
    return tools


def find_python(versions: Sequence[str]) -> str:
    """Find the first of these Python versions that is installed with pip."""
    for version in versions:
        for candidate in _find_candidates(version):
            # pyenv puts a shim on PATH that fails if this version is not the selected one
            if _succeeds([candidate, "-m", "pip", "--version"]):
                return os.path.realpath(candidate)
    names = " or ".join(versions)
    raise ToolMissingError(f"Python {names} with pip is neither on PATH nor in pyenv: pyenv install {versions[0]}")


def build(sdk: Sdk, tools: Mapping[str, str], environ: Mapping[str, str], say: Callable[[str], None]) -> Program:
    """Build an SDK's program unless it is cached. Concurrent runs build it once."""
    source = SOURCES / sdk.name
    target = CACHE / f"{sdk.name}-{_digest(source, sdk, tools)}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with _locked(CACHE / f"{sdk.name}.lock"):
        if not target.is_dir():
            if sdk.build:
                say(f"building the program of {sdk.title} (log: {CACHE / sdk.name}.log)")
            _build_into(sdk, tools, environ, target)
    return Program(sdk, target, [word.format_map(tools) for word in sdk.run])


def _build_into(sdk: Sdk, tools: Mapping[str, str], environ: Mapping[str, str], target: Path) -> None:
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
        raise BuildError(f"{' '.join(argv)} failed with exit code {done.returncode}. End of {log}:\n{tail}")


def _digest(source: Path, sdk: Sdk, tools: Mapping[str, str]) -> str:
    """A hash of everything that the result depends on."""
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
