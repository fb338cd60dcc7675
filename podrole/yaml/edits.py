"""Finds the edits that change a YAML text; lines that need no change stay untouched."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from podrole.yaml.flow import Edit, FlowLayout
from podrole.yaml.kube_yaml import write, write_scalar

INDENTED_LIST = re.compile(r"^( *)(?:- )?[^\s#-][^#\n]*:[ \t]*\r?\n\1(?P<further> +)?- ", re.MULTILINE)


class UneditableError(Exception):
    """The text has a form in which this change cannot be made in place."""


class Editor:
    """Collects edits, those of inner nodes first: at one position they come before those of outer nodes."""

    def __init__(self, text: str, *, is_json: bool = False) -> None:
        self.text = text
        self._is_json = is_json
        self._flow = FlowLayout(text, is_json=is_json)
        self.edits: list[Edit] = []
        self._newline = "\r\n" if "\r\n" in text else "\n"
        first = INDENTED_LIST.search(text)
        self._is_indented = first is not None and first["further"] is not None

    def change(self, node: Node, old: Any, new: Any) -> None:
        """Collect the edits that make this node, which reads as `old`, read as `new`."""
        if old == new and type(old) is type(new):
            return
        match node, old, new:
            case MappingNode(), dict(), dict():
                self._change_mapping(node, old, new)
            case SequenceNode(), list(), list():
                self._change_sequence(node, old, new)
            case ScalarNode(), _, str() | int() | float() | None:
                self._change_scalar(node, new)
            case _:
                raise UneditableError

    def _change_scalar(self, node: ScalarNode, new: Any) -> None:
        start, end = node.start_mark.index, node.end_mark.index
        if self._is_json:
            self.edits.append(Edit(start, end, self._flow.write(new, start)))
            return
        newline = self._newline if self.text[start:end].endswith("\n") else ""
        if new is None and not self.text[end:].lstrip(" ").startswith((",", "}", "]")):
            start = len(self.text[:start].rstrip(" "))  # nothing after the colon, as authors write it
            self.edits.append(Edit(start, end, newline))
            return
        space = " " if start == end and self.text[start - 1 : start] in {":", "-"} else ""
        written = "null" if new is None else write_scalar(new, node.style)
        self.edits.append(Edit(start, end, space + written + newline))

    def _change_mapping(self, node: MappingNode, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        entries = {key.value: (key, value) for key, value in node.value if isinstance(key, ScalarNode)}
        for name in old:
            if name not in entries:
                if name in new and new[name] == old[name]:
                    continue  # of a merge key, and unchanged
                raise UneditableError
            key, value = entries[name]
            if name not in new:
                self._remove_entry(node, key)
            elif not old[name] and isinstance(new[name], dict | list) and new[name]:
                self._fill_entry(node, key, value, new[name])
            elif isinstance(value, MappingNode | SequenceNode) and old[name] and new[name] in ([], {}, None):
                self._empty_entry(key, value, new[name])
            else:
                self.change(value, old[name], new[name])
        if added := {name: value for name, value in new.items() if name not in old}:
            self._add_entries(node, added)

    def _add_entries(self, node: MappingNode, added: Mapping[str, Any]) -> None:
        if not node.flow_style and node.value:
            self._insert_lines(self._find_place(node), node.value[0][0].start_mark.column, added)
            return
        self.edits.append(self._flow.add_entries(node, added))

    def _find_place(self, node: MappingNode) -> int:
        """Return the index for more entries: after the last one, or before one that a line break would change."""
        end = self._find_end(node)
        if (
            end < len(self.text)
            or self.text.endswith("\n")
            or getattr(find_last(node), "style", None) not in {"|", ">"}
        ):
            return end
        key = node.value[-1][0].start_mark.index
        line = self._find_line(key)
        if self.text[line:key].strip():
            raise UneditableError
        return self._skip_comments_back(line)

    def _remove_entry(self, node: MappingNode, key: ScalarNode) -> None:
        position = next(index for index, (other, _) in enumerate(node.value) if other is key)
        if node.flow_style:
            self.edits.append(self._flow.remove(node, position, position + 1))
            return
        start = self._find_line(key.start_mark.index)
        if len(node.value) == 1:
            raise UneditableError
        if not self.text[start : key.start_mark.index].strip():
            self.edits.append(Edit(start, self._find_end(node.value[position][1]), ""))
        else:  # the first key after the dash of a list element: the next key replaces it
            following = node.value[position + 1][0] if position + 1 < len(node.value) else None
            if following is None:
                raise UneditableError
            self.edits.append(Edit(key.start_mark.index, following.start_mark.index, ""))

    def _fill_entry(self, node: MappingNode, key: ScalarNode, value: Node, new: Any) -> None:
        if node.flow_style:
            start, end = value.start_mark.index, value.end_mark.index
            self.edits.append(Edit(start, end, self._flow.write(new, key.start_mark.index)))
            return
        start = len(self.text[: value.start_mark.index].rstrip(" "))
        self.edits.append(Edit(start, value.end_mark.index, ""))
        further = 0 if isinstance(new, list) and not self._is_indented else 2
        self._insert_lines(self._find_next_line(value.end_mark.index), key.start_mark.column + further, new)

    def _empty_entry(self, key: ScalarNode, value: CollectionNode, new: Any) -> None:
        written = "" if new is None else json.dumps(new)
        if value.flow_style:
            self.edits.append(Edit(value.start_mark.index, value.end_mark.index, written or "null"))
            return
        colon = self.text.index(":", key.end_mark.index) + 1
        self.edits.append(Edit(colon, colon, f" {written}" if written else ""))
        self.edits.append(Edit(self._find_next_line(colon), self._find_end(value), ""))

    def _change_sequence(self, node: SequenceNode, old: Sequence[Any], new: Sequence[Any]) -> None:
        if not new:
            raise UneditableError
        for tag, old_start, old_end, new_start, new_end in _align(old, new):
            if tag == "equal":
                for index in range(old_end - old_start):
                    self.change(node.value[old_start + index], old[old_start + index], new[new_start + index])
                continue
            if node.flow_style:
                self._change_flow_items(node, (old_start, old_end), new[new_start:new_end])
                continue
            for item in node.value[old_start:old_end]:
                self.edits.append(Edit(self._find_line(self._find_dash(item)), self._find_end(item), ""))
            if new_start < new_end:
                self._insert_items(node, old_end, new[new_start:new_end])

    def _change_flow_items(self, node: SequenceNode, removed: tuple[int, int], added: Sequence[Any]) -> None:
        first, end = removed
        if first < end:
            self.edits.append(self._flow.remove(node, first, end))
        if added:
            self.edits.append(self._flow.insert_items(node, end, added))

    def _insert_items(self, node: SequenceNode, index: int, items: Sequence[Any]) -> None:
        dash = self._find_dash(node.value[0])
        column = dash - self._find_line(dash)
        place = self._find_end(node.value[index - 1]) if index else self._skip_comments_back(self._find_line(dash))
        self._insert_lines(place, column, [*items])

    def _insert_lines(self, place: int, column: int, value: Any) -> None:
        lines = write(value, is_indented=self._is_indented).splitlines()
        written = "".join(f"{' ' * column}{line}{self._newline}" if line else self._newline for line in lines)
        is_at_line = place == 0 or self.text[place - 1] == "\n"
        self.edits.append(Edit(place, place, written if is_at_line else self._newline + written))

    def _find_dash(self, item: Node) -> int:
        dash = len(self.text[: item.start_mark.index].rstrip(" \r\n")) - 1
        if self.text[dash : dash + 1] != "-" or self.text[self._find_line(dash) : dash].strip():
            raise UneditableError
        return dash

    def _find_line(self, index: int) -> int:
        """Return the index at which the line begins."""
        return self.text.rfind("\n", 0, index) + 1

    def _find_next_line(self, index: int) -> int:
        """Return the index at which the next line begins, or this index if it begins a line."""
        if index == 0 or self.text[index - 1] == "\n":
            return index
        end = self.text.find("\n", index)
        return len(self.text) if end < 0 else end + 1

    def _find_end(self, node: Node) -> int:
        """Return the index after the last line of a node. Comments after it do not belong to it."""
        return self._find_next_line(find_last(node).end_mark.index)

    def _skip_comments_back(self, line: int) -> int:
        """Return the index of the first of the comment lines above a line."""
        while line > 0:
            above = self._find_line(line - 1)
            if self.text[above:line].strip() and not self.text[above:line].lstrip().startswith("#"):
                break
            line = above
        return line


def find_last(node: Node) -> Node:
    """Return the last node within a node that has an end of its own: libyaml's end of a block is elsewhere."""
    while isinstance(node, MappingNode | SequenceNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(node, MappingNode) else last
    return node


def _align(old: Sequence[Any], new: Sequence[Any]) -> Iterator[tuple[str, int, int, int, int]]:
    """Match old elements with new ones: by position where their number is equal, otherwise by name."""
    if len(old) == len(new):
        yield "equal", 0, len(old), 0, len(new)
        return
    names = [[json.dumps(_name(element), default=str) for element in elements] for elements in (old, new)]
    yield from SequenceMatcher(None, names[0], names[1], autojunk=False).get_opcodes()


def _name(element: Any) -> Any:
    return element.get("name", element) if isinstance(element, dict) else element
