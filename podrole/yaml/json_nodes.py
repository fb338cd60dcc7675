"""Reads JSON as YAML's nodes, which know their places in the text. YAML's own parser does not read all of JSON."""

import json
import re

from yaml import Mark
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

WHITE_SPACE = re.compile(r"[ \t\r\n]*")
DECODER = json.JSONDecoder()


def compose_json(text: str) -> Node:
    """Return the node of a JSON text that has been parsed before: errors in it are not looked for."""
    return _compose(text, _skip(text, 0))[0]


def _compose(text: str, start: int) -> tuple[Node, int]:
    """Return a node and the index after it."""
    if text[start] == "{":
        return _compose_object(text, start)
    if text[start] == "[":
        return _compose_list(text, start)
    value, end = DECODER.raw_decode(text, start)
    return ScalarNode("", value, _mark(start), _mark(end), style='"'), end


def _compose_object(text: str, start: int) -> tuple[Node, int]:
    entries = []
    place = _skip(text, start + 1)
    while text[place] != "}":
        key, end = _compose(text, place)
        value, end = _compose(text, _skip(text, _skip(text, end) + 1))
        entries.append((key, value))
        place = _skip_comma(text, end)
    return MappingNode("", entries, _mark(start), _mark(place + 1), flow_style=True), place + 1


def _compose_list(text: str, start: int) -> tuple[Node, int]:
    items = []
    place = _skip(text, start + 1)
    while text[place] != "]":
        item, end = _compose(text, place)
        items.append(item)
        place = _skip_comma(text, end)
    return SequenceNode("", items, _mark(start), _mark(place + 1), flow_style=True), place + 1


def _skip(text: str, start: int) -> int:
    match = WHITE_SPACE.match(text, start)
    return match.end() if match else start


def _skip_comma(text: str, start: int) -> int:
    place = _skip(text, start)
    return _skip(text, place + 1) if text[place] == "," else place


def _mark(index: int) -> Mark:
    return Mark("", index, 0, 0, None, 0)
