"""Edits inside braces and brackets: JSON, and flow collections of YAML, whose values are written as JSON."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from yaml.nodes import CollectionNode, MappingNode

INDENT = re.compile(r"[{\[]\r?\n([ \t]+)")


class Edit(NamedTuple):
    """Replaces the text between two positions."""

    start: int
    end: int
    text: str


class FlowLayout:
    """How a text writes flow collections."""

    def __init__(self, text: str, *, is_json: bool) -> None:
        self.text = text
        self._is_json = is_json
        indent = INDENT.search(text) if is_json else None
        self._indent = indent and indent[1]
        self._is_compact = is_json and not indent and '": ' not in text
        self._newline = "\r\n" if "\r\n" in text else "\n"

    def write(self, value: Any, place: int) -> str:
        """Write a value; its further lines are indented as the line of this place."""
        separators = (",", ":") if self._is_compact else None
        lines = json.dumps(value, ensure_ascii=False, indent=self._indent, separators=separators).split("\n")
        return f"{self._newline}{self._read_margin(place)}".join(lines)

    def add_entries(self, node: MappingNode, added: Mapping[str, Any]) -> Edit:
        """Add entries at the end of an object."""
        colon = ":" if self._is_compact else ": "
        place = node.value[-1][0].start_mark.index if node.value else node.start_mark.index
        entries = [f"{self._write_key(name)}{colon}{self.write(value, place)}" for name, value in added.items()]
        return self._insert(node, len(node.value), entries)

    def insert_items(self, node: CollectionNode, index: int, items: Sequence[Any]) -> Edit:
        """Insert elements into a list."""
        place = node.value[0].start_mark.index if node.value else node.start_mark.index
        return self._insert(node, index, [self.write(item, place) for item in items])

    def remove(self, node: CollectionNode, first: int, end: int) -> Edit:
        """Remove entries or elements that follow each other, with the comma that an insertion writes."""
        spans = _list_spans(node)
        if first:
            return Edit(spans[first - 1][1], spans[end - 1][1], "")
        if end < len(spans):
            return Edit(spans[0][0], spans[end][0], "")
        return Edit(self._find_bracket(node) + 1, node.end_mark.index - 1, "")

    def _insert(self, node: CollectionNode, index: int, written: Sequence[str]) -> Edit:
        spans = _list_spans(node)
        if not spans:
            return Edit(self._find_bracket(node) + 1, node.end_mark.index - 1, ", ".join(written))
        gap = self._find_gap(spans[0][0])
        if index == 0:
            return Edit(spans[0][0], spans[0][0], "".join(f"{one},{gap}" for one in written))
        place = spans[index - 1][1]
        return Edit(place, place, "".join(f",{gap}{one}" for one in written))

    def _find_gap(self, first: int) -> str:
        """Return the white space between two elements."""
        before = self.text[len(self.text[:first].rstrip()) : first]
        return before if "\n" in before else "" if self._is_compact else " "

    def _find_bracket(self, node: CollectionNode) -> int:
        """Return the index of the opening bracket, which an anchor or a tag can precede."""
        return self.text.index("{" if isinstance(node, MappingNode) else "[", node.start_mark.index)

    def _read_margin(self, place: int) -> str:
        line = self.text[self.text.rfind("\n", 0, place) + 1 : place]
        return line[: len(line) - len(line.lstrip())]

    def _write_key(self, name: str) -> str:
        is_plain = not self._is_json and re.fullmatch(r"[A-Za-z][A-Za-z0-9./_-]*", name) and name.lower() not in WORDS
        return name if is_plain else json.dumps(name, ensure_ascii=False)


WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
"""What YAML 1.1 does not read as text."""


def _list_spans(node: CollectionNode) -> list[tuple[int, int]]:
    """Start and end of each entry or element."""
    pairs = node.value if isinstance(node, MappingNode) else [(item, item) for item in node.value]
    return [(first.start_mark.index, last.end_mark.index) for first, last in pairs]
