"""The type of a finding, and how findings are formatted. Each `*findings` module has a table of them."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from contract.text import quote
from injector import messages
from injector.messages import MessageTable
from podrole.exit_codes import EXIT_FINDINGS, EXIT_UNREACHABLE

LEVEL_COLUMN = 9
WIDTH = 110
MAX_EQUAL_CODES = 10
MAX_VALUE_LENGTH = 4096
"""Characters of a value that a finding repeats: a whole message of the webhook or the API server."""


class Level(StrEnum):
    """The severity of a finding. `unknown`: it could not be checked, so it must not be taken for `ok`."""

    OK = "ok"
    NOTE = "note"
    UNKNOWN = "unknown"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """The result of a check: a sentence, and what to do about it."""

    level: Level
    code: str
    """For programs: CamelCase, unique within a command."""

    text: str
    remedy: str


class Section(NamedTuple):
    """Findings on one topic."""

    title: str
    findings: tuple[Finding, ...]


class _Value(str):
    """A value of a sentence. A number chooses words: `{count:# pod is|# pods are}` is `1 pod is` or `2 pods are`."""

    __slots__ = ()

    def __format__(self, forms: str) -> str:
        one, has_forms, many = forms.partition("|")
        return (one if self == "1" else many).replace("#", self) if has_forms else str(self)


class FindingTemplate(MessageTable):
    """A table of findings: level, sentence, remedy. The member's name in CamelCase is the code for programs."""

    def __init__(self, level: Level, sentence: str, remedy: str = "") -> None:
        super().__init__(sentence, remedy)
        self.level = level

    def format(self, **values: object) -> Finding:
        """Fill in the sentence and the remedy."""
        return Finding(self.level, self.code, *self.fill(values, MAX_VALUE_LENGTH))

    def fill(self, values: Mapping[str, object], max_length: int = messages.MAX_VALUE_LENGTH) -> tuple[str, str]:
        """Return sentence and remedy with these values, each quoted, and with the words that fit to numbers."""
        quoted = {name: _Value(quote(str(value), max_length)) for name, value in values.items()}
        return self.sentence.format_map(quoted), self.remedy.format_map(quoted)


def limit_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Keep MAX_EQUAL_CODES findings of each code, and replace the others by their number."""
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    limited = []
    for same in by_code.values():
        limited += same[:MAX_EQUAL_CODES]
        if len(same) > MAX_EQUAL_CODES:
            text = f"And {len(same) - MAX_EQUAL_CODES} more of this kind."
            limited.append(same[0]._replace(text=text, remedy=""))
    return limited


def format_number(number: int, noun: str) -> str:
    """`1 pod`, `2 pods`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def count_levels(sections: Iterable[Section]) -> dict[Level, int]:
    """Count the findings of each level."""
    levels = [finding.level for section in sections for finding in section.findings]
    return {level: levels.count(level) for level in Level}


def build_document(sections: Iterable[Section]) -> list[dict[str, Any]]:
    """Build the findings for `--output json`."""
    return [{"section": section.title, **finding._asdict()} for section in sections for finding in section.findings]


def format_sections(sections: Iterable[Section]) -> str:
    """Format as text: the section's title, then each finding with its level and its remedy below it."""
    lines = []
    for section in sections:
        if section.findings:
            lines += ["", section.title, *(line for finding in section.findings for line in _format(finding))]
    return "\n".join(lines[1:])


def format_counts(sections: Iterable[Section]) -> str:
    """Format the last line: the number of problems, warnings and unknown findings."""
    counts = count_levels(sections)
    parts = [
        format_number(counts[level], name) for level, name in ((Level.PROBLEM, "problem"), (Level.WARNING, "warning"))
    ]
    if counts[Level.UNKNOWN]:
        parts.append(f"{counts[Level.UNKNOWN]} unknown")
    return ", ".join(parts)


def _format(finding: Finding) -> Iterator[str]:
    indent = " " * (LEVEL_COLUMN + 2)
    wrapper = textwrap.TextWrapper(WIDTH, break_long_words=False, break_on_hyphens=False, subsequent_indent=indent)
    wrapper.initial_indent = f"  {finding.level:<{LEVEL_COLUMN}}"
    yield from wrapper.wrap(finding.text)
    # Never wrapped, so that a command can be copied.
    yield from (f"{indent}> {line}" for line in finding.remedy.splitlines())


def choose_exit_code(sections: Iterable[Section], least: Level) -> int:
    """Return EXIT_FINDINGS for a finding of at least this level, EXIT_UNREACHABLE for an unknown one, 0 otherwise."""
    counts = count_levels(sections)
    matching = {Level.PROBLEM: counts[Level.PROBLEM], Level.WARNING: counts[Level.WARNING] + counts[Level.PROBLEM]}
    if matching[least]:
        return EXIT_FINDINGS
    return EXIT_UNREACHABLE if counts[Level.UNKNOWN] else 0
