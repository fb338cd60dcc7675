"""Reads sdks.yaml: the SDKs, how their programs are built, and what each does on each way to the sidecar."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

TABLE = Path(__file__).with_name("sdks.yaml")


KEEPS = "keeps its keys"

AT_ONCE = "at once"
LATER = "later"
ROTATIONS = {
    AT_ONCE: "with the next call, or the one after it",
    "at the end": "when its keys end, or some seconds before",
    LATER: "two to ten minutes later",
    "new process": "each call is a new process",
}
LATER_SECONDS = 601


@dataclass(frozen=True)
class Behaviour:
    """What an SDK does on one way to the sidecar. Errors are regular expressions."""

    nothing_valid: str
    """The error of a call before STS has responded."""

    refused: str
    """The error of a call after STS denied the request."""

    tells_why: bool
    """Whether that error repeats the message of STS."""

    fails_within_seconds: int
    """How long either error takes on an idle machine."""

    outage: str
    """The result of a call when only the app still has valid keys, not the sidecar: KEEPS or an error."""

    rotation: str
    """When a running app uses new keys, if its own have less than a minute left: a key of ROTATIONS."""

    @property
    def is_at_once(self) -> bool:
        """Whether calls have new keys as soon as the sidecar has them."""
        return self.rotation in {AT_ONCE, "new process"}

    @property
    def later_line(self) -> str:
        """The line that lets the program skip the longest wait for new keys."""
        return str(LATER_SECONDS) if self.rotation == LATER else ""


@dataclass(frozen=True)
class Sdk:
    """An SDK and the program that uses it."""

    name: str
    title: str
    run: tuple[str, ...]
    version: str | None = None
    """The version that the program must report. None: the version locked by the project."""

    build: tuple[tuple[str, ...], ...] = ()
    """Commands to run in a copy of the program's folder; `{tool}` is replaced by a program's path."""

    tools: Mapping[str, str] = field(default_factory=dict)
    """Programs that must be on PATH, and how to install each."""

    pythons: tuple[str, ...] = ()
    """Python versions that it runs on, best first. Empty: the Python of the tests."""

    environ: Mapping[str, str] = field(default_factory=dict)
    excused: str | None = None
    """Why missing tools are not a failure even if all SDKs are required."""

    ways: Mapping[str, Behaviour] = field(default_factory=dict)
    cannot: Mapping[str, str] = field(default_factory=dict)
    """Ways that it does not support, and why."""


def parse_sdk(name: str, entry: Mapping[str, Any]) -> Sdk:
    """Parse an entry of the table."""
    known = {**entry, "run": tuple(entry["run"]), "build": tuple(tuple(command) for command in entry.get("build", ()))}
    known["ways"] = {way: Behaviour(**behaviour) for way, behaviour in entry["ways"].items()}
    known["pythons"] = tuple(entry.get("pythons", ()))
    return Sdk(name=name, **known)


SDKS = {name: parse_sdk(name, entry) for name, entry in yaml.safe_load(TABLE.read_text()).items()}


def find_behaviour(name: str, way: str) -> Behaviour:
    """The expected behaviour of an SDK on one way."""
    return SDKS[name].ways[way]
