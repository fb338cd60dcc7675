"""Reads sdks.yaml: which SDKs there are, how their programs are made, and what each does on each way to the sidecar."""

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
    """The error of a call before STS has ever answered."""

    refused: str
    """The error of a call after STS refused for good."""

    tells_why: bool
    """Whether the latter repeats what STS said."""

    fails_within_seconds: int
    """How long either takes on an idle machine."""

    outage: str
    """What becomes of a call when the sidecar has nothing valid any more, but the app: KEEPS, or its error."""

    rotation: str
    """When a running app uses new keys while its own have less than a minute left: one of ROTATIONS."""

    @property
    def is_at_once(self) -> bool:
        """Whether calls have new keys as soon as the sidecar has them."""
        return self.rotation in {AT_ONCE, "new process"}

    @property
    def later_line(self) -> str:
        """What makes the program believe that the longest wait for new keys is over."""
        return str(LATER_SECONDS) if self.rotation == LATER else ""


@dataclass(frozen=True)
class Sdk:
    """An SDK and the program that uses it."""

    name: str
    title: str
    run: tuple[str, ...]
    version: str | None = None
    """What the program must say; None: the one that the project itself has locked."""

    build: tuple[tuple[str, ...], ...] = ()
    """Commands that run in a copy of the program's folder; `{tool}` is a program that was found."""

    tools: Mapping[str, str] = field(default_factory=dict)
    """Programs on PATH, and what brings each."""

    pythons: tuple[str, ...] = ()
    """Versions of Python that it runs on, the best one first; none: the one of the tests."""

    environ: Mapping[str, str] = field(default_factory=dict)
    excused: str | None = None
    """Why a machine without its tools is no failure even where all SDKs are required."""

    ways: Mapping[str, Behaviour] = field(default_factory=dict)
    cannot: Mapping[str, str] = field(default_factory=dict)
    """Ways that it does not know, and why."""


def parse_sdk(name: str, entry: Mapping[str, Any]) -> Sdk:
    """One entry of the table."""
    known = {**entry, "run": tuple(entry["run"]), "build": tuple(tuple(command) for command in entry.get("build", ()))}
    known["ways"] = {way: Behaviour(**behaviour) for way, behaviour in entry["ways"].items()}
    known["pythons"] = tuple(entry.get("pythons", ()))
    return Sdk(name=name, **known)


SDKS = {name: parse_sdk(name, entry) for name, entry in yaml.safe_load(TABLE.read_text()).items()}
