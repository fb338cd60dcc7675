"""A table of messages: each member is a sentence and its remedy, and has a code for programs."""

from collections.abc import Mapping
from enum import Enum
from functools import cached_property

from contract.text import quote

MAX_VALUE_LENGTH = 200
"""Characters of a user's value that a message repeats: an annotation can have 256 KiB."""


class MessageTable(Enum):
    """The base of all tables. Sentence and remedy have `{names}` that `fill` replaces."""

    def __init__(self, sentence: str, remedy: str = "") -> None:
        self.sentence = sentence
        self.remedy = remedy

    @cached_property
    def code(self) -> str:
        """The member's name in CamelCase: it is public, in logs, metrics and JSON output."""
        return self.name.title().replace("_", "")

    def fill(self, values: Mapping[str, object], max_length: int = MAX_VALUE_LENGTH) -> tuple[str, str]:
        """Return sentence and remedy with these values, each quoted."""
        quoted = {name: quote(str(value), max_length) for name, value in values.items()}
        return self.sentence.format_map(quoted), self.remedy.format_map(quoted)
