"""What a finding is, and how findings are shown. Which ones there are stands in the tables of `statements`."""

import textwrap
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any, NamedTuple

from injector.messages import MessageTable
from podrole.exit_codes import EXIT_FINDINGS, EXIT_UNREACHABLE

LEVEL_COLUMN = 9
WIDTH = 110
MAX_VALUE_LENGTH = 4096
"""Characters of a value that a finding repeats: a whole message of the webhook or the API server."""


class Level(StrEnum):
    """How much a finding matters. `unknown`: it could not be looked at, so nobody may take it for `ok`."""

    OK = "ok"
    NOTE = "note"
    UNKNOWN = "unknown"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """One sentence about what was found, and what to do."""

    level: Level
    code: str
    text: str
    remedy: str


class Section(NamedTuple):
    """Findings on one topic."""

    title: str
    findings: tuple[Finding, ...]


class FindingTemplate(MessageTable):
    """A table of what can be found: level, sentence, remedy."""

    def __init__(self, level: Level, sentence: str, remedy: str = "") -> None:
        super().__init__(sentence, remedy)
        self.level = level

    def format(self, **values: object) -> Finding:
        """Fill in the sentence and the remedy."""
        return Finding(self.level, self.code, *self.fill(values, MAX_VALUE_LENGTH))


def count_levels(sections: Iterable[Section]) -> dict[Level, int]:
    """How many findings of each level there are."""
    levels = [finding.level for section in sections for finding in section.findings]
    return {level: levels.count(level) for level in Level}


def build_document(sections: Iterable[Section]) -> list[dict[str, Any]]:
    """Build what `--output json` shows."""
    return [{"section": section.title, **finding._asdict()} for section in sections for finding in section.findings]


def format_sections(sections: Iterable[Section]) -> str:
    """Format for a person: a heading for each topic, the level in front of each sentence, the remedy below it."""
    lines = []
    for section in sections:
        if section.findings:
            lines += ["", section.title, *(line for finding in section.findings for line in _format(finding))]
    return "\n".join(lines[1:])


def format_counts(sections: Iterable[Section]) -> str:
    """The last line: what there is besides what is well."""
    counts = count_levels(sections)
    told = [
        f"{counts[level]} {name}{'' if counts[level] == 1 else 's'}"
        for level, name in ((Level.PROBLEM, "problem"), (Level.WARNING, "warning"))
    ]
    if counts[Level.UNKNOWN]:
        told.append(f"{counts[Level.UNKNOWN]} that could not be looked at")
    return ", ".join(told)


def _format(finding: Finding) -> Iterator[str]:
    indent = " " * (LEVEL_COLUMN + 2)
    wrapper = textwrap.TextWrapper(WIDTH, break_long_words=False, break_on_hyphens=False, subsequent_indent=indent)
    wrapper.initial_indent = f"  {finding.level:<{LEVEL_COLUMN}}"
    yield from wrapper.wrap(finding.text)
    # Line by line and never wrapped: a command must survive being copied.
    yield from (f"{indent}> {line}" for line in finding.remedy.splitlines())


def choose_exit_code(sections: Iterable[Section], least: Level) -> int:
    """FOUND from that level on. What could not be looked at is not well either, but weighs less."""
    counts = count_levels(sections)
    found = {Level.PROBLEM: counts[Level.PROBLEM], Level.WARNING: counts[Level.WARNING] + counts[Level.PROBLEM]}
    if found[least]:
        return EXIT_FINDINGS
    return EXIT_UNREACHABLE if counts[Level.UNKNOWN] else 0
