"""The exit code of a command that looked at something."""

from collections.abc import Iterable

from injector.cli import FOUND, UNREACHABLE
from injector.diagnosis.findings import Level, Section, count_levels


def choose_exit_code(sections: Iterable[Section], least: Level) -> int:
    """FOUND from that level on. What could not be looked at is not well either, but weighs less."""
    counts = count_levels(sections)
    found = {Level.PROBLEM: counts[Level.PROBLEM], Level.WARNING: counts[Level.WARNING] + counts[Level.PROBLEM]}
    if found[least]:
        return FOUND
    return UNREACHABLE if counts[Level.UNKNOWN] else 0
